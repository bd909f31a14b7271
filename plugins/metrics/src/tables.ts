import type { Migration } from '@fleetupdate/sdk'
import type { Generated } from 'kysely'
import { type MetricName, metricNames } from './series-metrics.ts'

/** Times are minutes since 1970; values are whole numbers in the scale of their metric, null where none was known. */
export interface MetricsTables {
  /** A short number for each agent, and up to which minute its samples are rolled up. */
  series_agents: { no: Generated<number>; agent_id: string; rolled: number }
  /** One row per agent and minute, for a day. About 40 bytes each. */
  samples: { no: number; minute: number } & { [M in MetricName]: number | null }
  /** Ten minutes a row, for a week. */
  rollup_10m: RollUpRow
  /** An hour a row, for 90 days. */
  rollup_1h: RollUpRow
}

/** `minute` is the first of the row's span, `n` how many samples are in it. */
export type RollUpRow = { no: number; minute: number; n: number } & {
  [C in `${MetricName}_${'avg' | 'min' | 'max'}`]: number | null
}

const rollUpColumns = metricNames.flatMap((metric) => [`${metric}_avg`, `${metric}_min`, `${metric}_max`])

/** The plugin's own tables; append-only. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-series',
    async up(db) {
      await db.schema
        .createTable('series_agents')
        .addColumn('no', 'integer', (column) => column.primaryKey().autoIncrement())
        .addColumn('agent_id', 'text', (column) => column.notNull().unique())
        .addColumn('rolled', 'integer', (column) => column.notNull())
        .execute()
      await db.schema
        .createIndex('series_agents_by_rolled')
        .on('series_agents')
        .columns(['rolled', 'no'])
        .execute()
      const tables = [
        { name: 'samples', columns: [...metricNames] },
        { name: 'rollup_10m', columns: ['n', ...rollUpColumns] },
        { name: 'rollup_1h', columns: ['n', ...rollUpColumns] },
      ]
      for (const { name, columns } of tables) {
        let table = db.schema
          .createTable(name)
          .addColumn('no', 'integer', (column) => column.notNull())
          .addColumn('minute', 'integer', (column) => column.notNull())
        for (const column of columns) table = table.addColumn(column, 'bigint')
        await table.addPrimaryKeyConstraint(`${name}_key`, ['no', 'minute']).execute()
      }
    },
  },
]
