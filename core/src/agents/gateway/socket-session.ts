import {
  type AgentFrame,
  openFrame,
  type ServerFrame,
  type SessionKeys,
  sealFrame,
} from '@fleetupdate/sdk/protocol'
import type { WebSocket } from 'ws'
import type { AgentKey } from '../../auth/agent-keys.ts'
import type { AgentSession, CloseCode, WaitingSession } from '../session.ts'

/** Bytes that may wait for a slow agent before its session is dropped; offers and acks are sent again in the next one. */
const sendBufferBytes = 4 * 1024 * 1024
/** Bytes of frames that may wait to be handled before the agent is slowed down. */
export const inboxPauseBytes = 4 * 1024 * 1024

/** One agent over WebSocket: every frame with its MAC and the next sequence. A class, so that 10,000 of them share their functions. */
export class SocketSession implements AgentSession {
  epoch = 0
  readonly inbox: AgentFrame[] = []
  draining: Promise<void> | undefined
  /** `waiting`: for the agent to confirm its ticket. */
  state: 'greeting' | 'joining' | 'waiting' | 'live' = 'greeting'
  waitingBytes = 0
  bootId = ''
  waiting: WaitingSession | undefined
  #sent = 0
  #received = 0

  constructor(
    readonly key: Pick<AgentKey, 'agentId' | 'generation' | 'kid' | 'isNext'>,
    readonly address: string,
    readonly socket: WebSocket,
    readonly keys: SessionKeys,
    public lastHeardMs: number,
  ) {}

  get agentId(): string {
    return this.key.agentId
  }
  get generation(): number {
    return this.key.generation
  }
  get kid(): string {
    return this.key.kid
  }
  get isNextKey(): boolean {
    return this.key.isNext
  }

  send(frame: ServerFrame): void {
    if (this.socket.readyState !== this.socket.OPEN) return
    if (this.socket.bufferedAmount > sendBufferBytes) {
      this.socket.terminate()
      return
    }
    this.socket.send(sealFrame(this.keys, 's2a', ++this.#sent, JSON.stringify(frame)))
  }

  close(code: CloseCode, reason: string): void {
    this.socket.close(code, reason)
  }

  /** The payload of the next frame; undefined where it is not authentic. */
  open(text: string): string | undefined {
    const payload = openFrame(this.keys, 'a2s', this.#received + 1, text)
    if (payload !== undefined) this.#received++
    return payload
  }
}
