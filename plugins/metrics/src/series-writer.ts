import type { PluginDatabase } from '@fleetupdate/sdk'
import type { Kysely } from 'kysely'
import { type MetricName, type Sample, seriesMetrics } from './series-metrics.ts'
import type { MetricsTables } from './tables.ts'
import { floorTo, tiers, toMinute } from './tiers.ts'

export interface SeriesWriter {
  /** Durable when it resolves. A second sample of an agent in the same minute changes nothing. */
  add(agentId: string, sample: Sample, observedAtMs: number): Promise<void>
  /** Deletes all series of an agent. */
  remove(agentId: string): Promise<void>
}

/** A clock that is further ahead than this is not believed. */
const aheadMs = 2 * 60_000

export function createSeriesWriter(db: PluginDatabase, now: () => number = Date.now): SeriesWriter {
  const read: Kysely<MetricsTables> = db.query
  const numbers = new Map<string, Promise<number>>()

  const findNumber = async (agentId: string): Promise<number | undefined> =>
    (await read.selectFrom('series_agents').select('no').where('agent_id', '=', agentId).executeTakeFirst())
      ?.no

  const makeNumber = async (agentId: string): Promise<number> => {
    const known = await findNumber(agentId)
    if (known !== undefined) return known
    const rolled = floorTo(toMinute(now()), tiers.rollup_1h.step)
    const { sql, parameters } = read
      .insertInto('series_agents')
      .values({ agent_id: agentId, rolled })
      .onConflict((conflict) => conflict.column('agent_id').doNothing())
      .compile()
    await db.write([{ sql, parameters }])
    const made = await findNumber(agentId)
    if (made === undefined)
      throw new Error(`The agent ${agentId} has no number although it was just given one`)
    return made
  }

  const numberOf = (agentId: string): Promise<number> => {
    const known = numbers.get(agentId)
    if (known) return known
    const made = makeNumber(agentId)
    numbers.set(agentId, made)
    made.catch(() => numbers.delete(agentId))
    return made
  }

  return {
    async add(agentId, sample, observedAtMs) {
      const minute = toMinute(believable(observedAtMs, now()))
      const no = await numberOf(agentId)
      const insert = read
        .insertInto('samples')
        .values({ no, minute, ...valuesOf(sample) })
        .onConflict((conflict) => conflict.columns(['no', 'minute']).doNothing())
        .compile()
      // A late sample belongs to a span that may be rolled up already: it is done again from there.
      const late = read
        .updateTable('series_agents')
        .set({ rolled: floorTo(minute, tiers.rollup_10m.step) })
        .where('no', '=', no)
        .where('rolled', '>', minute)
        .compile()
      await db.write([insert, late].map(({ sql, parameters }) => ({ sql, parameters })))
    },
    async remove(agentId) {
      const no = await (numbers.get(agentId) ?? findNumber(agentId))
      numbers.delete(agentId)
      if (no === undefined) return
      const statements = [
        read.deleteFrom('samples').where('no', '=', no).compile(),
        read.deleteFrom('rollup_10m').where('no', '=', no).compile(),
        read.deleteFrom('rollup_1h').where('no', '=', no).compile(),
        read.deleteFrom('series_agents').where('no', '=', no).compile(),
      ]
      await db.write(statements.map(({ sql, parameters }) => ({ sql, parameters })))
    },
  }
}

/** The agent's time where it can be: not ahead, and still within what is kept. Else the server's. */
function believable(observedAtMs: number, nowMs: number): number {
  const oldest = nowMs - tiers.samples.keep * 60_000
  return observedAtMs > oldest && observedAtMs <= nowMs + aheadMs ? observedAtMs : nowMs
}

function valuesOf(sample: Sample): Record<MetricName, number | null> {
  const stored = (metric: MetricName): number | null => {
    const { read, scale } = seriesMetrics[metric]
    const value = read(sample)
    return value === null ? null : Math.round(value * scale)
  }
  return {
    cpu: stored('cpu'),
    load: stored('load'),
    memory: stored('memory'),
    swap: stored('swap'),
    disk: stored('disk'),
    rx: stored('rx'),
    tx: stored('tx'),
  }
}
