import { definePlugin } from '@fleetupdate/sdk'
import { createAttempts } from './attempts.ts'
import { legacyAgents } from './contract.ts'
import { createOldAgents } from './old-agents.ts'
import { registerRoutes } from './routes.ts'
import { migrations } from './tables.ts'

const sweepMs = 5_000

export default definePlugin(legacyAgents, {
  migrations,
  setup(context) {
    const old = createOldAgents(context, createAttempts(context.db))
    registerRoutes(context, old)
    context.schedule.every(sweepMs, () => old.sweep())
  },
})
