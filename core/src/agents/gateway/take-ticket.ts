import type { AgentFrameOf } from '@fleetupdate/sdk/protocol'
import type { AgentSession } from '../session.ts'

/** Takes the frame that confirms a ticket out of what waits in the inbox, wherever it stands; undefined where it has not come. */
export function takeTicket({ inbox }: Pick<AgentSession, 'inbox'>): AgentFrameOf<'ticket'> | undefined {
  const at = inbox.findIndex(({ type }) => type === 'ticket')
  const [frame] = at < 0 ? [] : inbox.splice(at, 1)
  return frame?.type === 'ticket' ? frame : undefined
}
