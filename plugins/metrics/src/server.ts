import { definePlugin } from '@fleetupdate/sdk'
import { metrics } from './contract.ts'
import { createFleetFigures } from './fleet-figures.ts'
import { registerFleet } from './fleet-routes.ts'
import { createLatestSamples } from './latest-samples.ts'
import { rollUp } from './roll-up.ts'
import { createSeriesReader } from './series-reader.ts'
import { registerSeries } from './series-routes.ts'
import { createSeriesWriter } from './series-writer.ts'
import { migrations } from './tables.ts'

/** Keeps what agents measure as series, and counts the fleet for people and Prometheus. */
export default definePlugin(metrics, {
  migrations,
  setup(context) {
    const { db, http, agents, events, server, log } = context
    const writer = createSeriesWriter(db)
    const latest = createLatestSamples()

    context.onFacts(async ({ agentId, facts, observedAt }) => {
      if (!facts.sample) return
      latest.set(agentId, facts.sample)
      await writer.add(agentId, facts.sample, Date.parse(observedAt.sample ?? ''))
    })
    const remove = async (agentId: string): Promise<void> => {
      latest.delete(agentId)
      await writer.remove(agentId)
    }
    events.on('agent.removed', ({ agentId }) => {
      remove(agentId).catch((error: unknown) =>
        log.warn('The series of a removed agent stay for now', { agentId, error: String(error) }),
      )
    })
    context.schedule.every(10_000, async (signal) => {
      await rollUp({
        db,
        nowMs: Date.now(),
        signal,
        // Stands behind a lost "agent.removed".
        onSilent: async (agentId) => {
          if (!(await agents.get(agentId))) await remove(agentId)
        },
      })
    })
    registerSeries(http, { reader: createSeriesReader(db), agents })
    registerFleet(http.root, { figures: createFleetFigures(context), latest, version: server.version })
  },
})
