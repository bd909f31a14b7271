import type { AgentFrame, AgentFrameOf, ServerFrame } from '@fleetupdate/sdk/protocol'
import type { Ticket, TicketVerdict } from './tickets.ts'

/** Close codes of docs/reference/protocol.md section 4. */
export const closeCodes = {
  stopping: 1001,
  malformed: 4400,
  unauthentic: 4401,
  revoked: 4403,
  silent: 4408,
  replaced: 4409,
  quarantined: 4410,
} as const
export type CloseCode = (typeof closeCodes)[keyof typeof closeCodes]

/** One live connection of an agent, whatever carries its frames. */
export interface AgentSession {
  readonly agentId: string
  readonly generation: number
  /** The name of the key it came with; '' for agents of other protocols. */
  readonly kid: string
  /** That key is the second one, and takes the place of the first when this session begins. */
  readonly isNextKey: boolean
  /** Where it comes from; '' where that is not known. */
  readonly address: string
  /** An agent of another protocol whose plugin brings it commands. */
  readonly takesCommands?: boolean
  /** Of its hello. */
  bootId: string
  /** Set between hello and the confirmed ticket: nothing else of it counts until then. */
  waiting: WaitingSession | undefined
  /** Grows with each session of the agent; 0 until hello is stored. */
  epoch: number
  lastHeardMs: number
  /** Frames that came and wait for their turn; handled strictly one after the other. */
  readonly inbox: AgentFrame[]
  /** Set while the inbox is worked off. */
  draining: Promise<void> | undefined
  /** Ends when the last facts that came are told. */
  telling?: Promise<void>
  send(frame: ServerFrame): void
  close(code: CloseCode, reason: string): void
}

/** What the hello said, and the ticket that the agent must confirm. */
export interface WaitingSession {
  readonly hello: AgentFrameOf<'hello'>
  readonly verdict: TicketVerdict
  readonly next: Ticket & { readonly text: string }
  /** The agent confirmed; the store is being asked. */
  isConfirmed: boolean
}
