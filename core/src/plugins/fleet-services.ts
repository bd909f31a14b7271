import type {
  GatewayAgent,
  GatewaySession,
  Log,
  OutputStore,
  PluginContext,
  SubmitOptions,
} from '@fleetupdate/sdk'
import type { Sealer } from '../auth/sealer.ts'
import type { EventBus } from '../events/bus.ts'
import type { LiveHub } from '../events/live.ts'
import type { Store } from '../store/store.ts'

/** What the core lends to plugins. `app.ts` wires it; {@link createContext} narrows it to one plugin. */
export interface FleetServices {
  readonly store: Store
  readonly bus: EventBus
  readonly live: LiveHub
  readonly log: Log
  readonly version: string
  readonly startedAt: string
  readonly agents: PluginContext['agents']
  readonly commands: Pick<PluginContext['commands'], 'read' | 'list' | 'successRate'>
  submit(
    plugin: string,
    agentId: string,
    command: string,
    input: unknown,
    options: SubmitOptions,
  ): ReturnType<PluginContext['commands']['submit']>
  readFacts(agentId: string, plugin: string): Promise<Readonly<Record<string, unknown>>>
  /** Returns the function that ends it. */
  onFactsStored(
    plugin: string,
    handler: (update: {
      agentId: string
      facts: Readonly<Record<string, unknown>>
      observedAt: Readonly<Record<string, string>>
    }) => void | Promise<void>,
  ): () => void
  provideOutput(store: OutputStore): () => void
  attachExternal(agentId: string, agent?: GatewayAgent): Promise<GatewaySession>
  /** Encrypts what plugins keep secret. */
  readonly sealer: Sealer
}
