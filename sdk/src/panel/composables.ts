import { inject, type MaybeRefOrGetter } from 'vue'
import {
  type Fleet,
  type LiveAgent,
  type LiveCommand,
  type Place,
  panelIdKey,
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
