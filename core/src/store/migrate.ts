import type { Migration } from '@fleetupdate/sdk'
import { Umzug } from 'umzug'
import { fleetError } from '../errors.ts'
import { recordMigration } from './record-migration.ts'
import type { WriteOutcome, WriteStatement } from './store.ts'

/** Migrations of one owner, oldest first; append-only. The order between series doesn't matter. */
export type MigrationSeries = readonly Migration[]

export interface MigrateOptions {
  /** Named in errors. */
  readonly file: string
  readonly series: readonly MigrationSeries[]
  write(statements: readonly WriteStatement[]): Promise<readonly WriteOutcome[]>
}

/**
 * Brings one file up to date. Each migration is one batch together with its row in the table `migrations`: it happened wholly or
 * not at all. Throws FLT_STORE_MIGRATION where the file is newer than the program, or the series do not continue what was applied.
 */
export async function migrate({ file, series, write }: MigrateOptions): Promise<void> {
  await write([{ sql: createTable, parameters: [] }])
  const [listed] = await write([{ sql: 'select name from migrations order by position', parameters: [] }])
  const applied = listed?.rows.map(({ name }) => String(name)) ?? []
  const problem = problemWith(series, applied)
  if (problem !== undefined) throw fleetError('FLT_STORE_MIGRATION', { file, problem })
  const umzug = new Umzug({
    logger: undefined,
    storage: {
      executed: async () => applied,
      // The row was written by the migration's own batch.
      logMigration: async () => {},
      unlogMigration: async ({ name }) => {
        throw new Error(`Migration "${name}" cannot be undone. Restore a backup instead.`)
      },
    },
    migrations: series.flat().map((migration) => ({
      name: migration.name,
      up: async () => write([...(await recordMigration(migration)), nameRow(migration.name)]),
    })),
  })
  await umzug.up()
}

const createTable = `create table if not exists migrations (
  position integer primary key autoincrement,
  name text not null unique,
  appliedAt integer not null
)`

function nameRow(name: string): WriteStatement {
  return {
    sql: 'insert into migrations (name, appliedAt) values (?, ?)',
    parameters: [name, Date.now()],
    expectedRows: 1,
  }
}

/** What stands between the series and what was applied; undefined where they fit. */
function problemWith(series: readonly MigrationSeries[], applied: readonly string[]): string | undefined {
  const known = series.flat().map(({ name }) => name)
  const double = known.find((name, index) => known.indexOf(name) !== index)
  if (double !== undefined) return `the migration "${double}" stands in the program twice`
  const unknown = applied.filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    const names = unknown.map((name) => `"${name}"`).join(', ')
    const isNewer = applied.slice(-unknown.length).every((name) => unknown.includes(name))
    return isNewer
      ? `it was written by a newer version, which added ${names}; run that version or a newer one`
      : `the program lacks ${names}, which were applied to it; migrations are never removed or renamed`
  }
  for (const each of series) {
    const own = applied.filter((name) => each.some((migration) => migration.name === name))
    const misplaced = own.findIndex((name, index) => each[index]?.name !== name)
    if (misplaced >= 0)
      return `"${own[misplaced]}" was applied before "${each[misplaced]?.name}"; new migrations are added at the end`
  }
  return undefined
}
