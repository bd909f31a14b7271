import { definePlugin } from '@fleetupdate/sdk'
import { agentUpdate } from './contract.ts'
import { createRollouts } from './rollouts.ts'
import { registerRoutes } from './routes.ts'
import { migrations } from './tables.ts'

const lookMs = 2000

export default definePlugin(agentUpdate, {
  migrations,
  setup(context) {
    const { events, live, schedule, log, signal } = context
    const rollouts = createRollouts(context)
    const advance = (): Promise<void> =>
      rollouts.advance().catch((problem: unknown) => log.error(`A rollout cannot go on: ${String(problem)}`))
    // The sweep stands behind the event, which is only a hint.
    schedule.every(lookMs, advance)
    events.on('command.updated', () => void advance())
    registerRoutes(context, rollouts)
    // What changed is read through the routes; the topic only says when.
    live.topic('agent-update', ({ send, signal: gone }) => {
      const end = rollouts.onChange((id) => void send({ changed: id }))
      const both = AbortSignal.any([gone, signal])
      both.addEventListener('abort', end, { once: true })
      send({ changed: null })
    })
  },
})
