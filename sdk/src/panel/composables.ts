import { inject, type MaybeRefOrGetter, type Ref, readonly, ref } from 'vue'
import type { Role } from '../contract/contract.ts'
import {
  type Fleet,
  type LiveAgent,
  type LiveCommand,
  type OwnRoutes,
  type Place,
  panelIdKey,
  type SubmitRequest,
  type TextTools,
  type TopicHandlers,
  usePanelHost,
} from './host.ts'

/** One agent, kept up to date for as long as the component lives. */
export function useAgent(id: MaybeRefOrGetter<string>): LiveAgent {
  return usePanelHost().agent(id)
}

/** One command, kept up to date for as long as the component lives. */
export function useCommand(id: MaybeRefOrGetter<string | undefined>): LiveCommand {
  return usePanelHost().command(id)
}

/**
 * Submits commands and reads the fleet.
 *
 * @example
 * const { submit } = useFleet()
 * await submit(props.agent.id, { command: 'reboot.schedule', input: { minutes: 5 } })
 */
export function useFleet(): Fleet {
  return usePanelHost().fleet
}

export interface Submit {
  /** While the server is asked. */
  readonly busy: Readonly<Ref<boolean>>
  /** Submits for one agent and opens the command's page; a refusal is said in a corner. Never rejects. */
  submit(agentId: string, request: SubmitRequest): Promise<void>
}

/**
 * The usual end of a button: submit a command, and lead the person to it.
 *
 * @example
 * const { busy, submit } = useSubmit()
 * // <FleetButton :busy="busy" @click="submit(agent.id, { command: 'reboot.cancel' })">
 */
export function useSubmit(): Submit {
  const { fleet, place, tell } = usePanelHost()
  const text = useText()
  const { open } = place()
  const busy = ref(false)
  return {
    busy: readonly(busy),
    async submit(agentId, request) {
      busy.value = true
      try {
        const { id } = await fleet.submit(agentId, request)
        open(`/commands/${id}`)
      } catch (problem) {
        tell(text.problem(problem), 'danger')
      } finally {
        busy.value = false
      }
    },
  }
}

/**
 * Asks the routes of the panel's own plugin, and no others. The server decides by the person's role, as for every request.
 *
 * @example
 * const routes = useRoutes()
 * const { items } = await routes.call<{ items: Note[] }>('GET', 'notes')
 * await routes.call('POST', 'notes', { body: { text } })
 */
export function useRoutes(): OwnRoutes {
  return usePanelHost().routes(inject(panelIdKey, ''))
}

/**
 * Whether the person has at least this role; follows the session. For what to show: what may be done is decided by the server.
 *
 * @example
 * const may = useMay()
 * // <FleetButton v-if="may('operator')">
 */
export function useMay(): (role: Role) => boolean {
  return usePanelHost().may
}

/** Listens to a live topic of the server for as long as the component lives; resubscribed after a reconnection. */
export function useTopic(topic: MaybeRefOrGetter<string | undefined>, handlers: TopicHandlers): void {
  usePanelHost().topic(topic, handlers)
}

/** The panel's own messages, and numbers and times in the language of the person. */
export function useText(): TextTools {
  return usePanelHost().text(inject(panelIdKey, ''))
}

/** Where the person is in the dashboard, and how to lead them elsewhere. */
export function usePlace(): Place {
  return usePanelHost().place()
}

/** Says something in passing, in a corner of the dashboard. */
export function useTell(): (message: string, tone?: 'ok' | 'danger' | 'info') => void {
  return usePanelHost().tell
}
