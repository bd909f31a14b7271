import { type AgentFrame, limits, type ServerFrame } from '@fleetupdate/sdk/protocol'
import type { AgentKey } from '../../auth/agent-keys.ts'
import type { AgentSession, CloseCode, WaitingSession } from '../session.ts'

/** Bytes that may wait for an agent that does not poll. */
const outboxBytes = 4 * 1024 * 1024

/** One agent over polls: frames wait here until a poll takes them. */
export class PollSession implements AgentSession {
  epoch = 0
  readonly inbox: AgentFrame[] = []
  draining: Promise<void> | undefined
  closed: CloseCode | undefined
  /** When the poll that waits is answered even without a frame; 0: none waits. */
  waitsUntilMs = 0
  #outbox: string[] = []
  #bytes = 0
  #wake: (() => void) | undefined

  bootId = ''
  waiting: WaitingSession | undefined

  constructor(
    readonly key: Pick<AgentKey, 'agentId' | 'generation' | 'kid' | 'isNext'>,
    readonly address: string,
    readonly session: string,
    public lastHeardMs: number,
    readonly onClose: (session: PollSession) => void,
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
    if (this.closed !== undefined) return
    const text = JSON.stringify(frame)
    this.#outbox.push(text)
    this.#bytes += text.length
    if (this.#bytes > outboxBytes) this.close(1001, 'Too much waits for this agent.')
    else this.wake()
  }

  close(code: CloseCode, _reason: string): void {
    if (this.closed !== undefined) return
    this.closed = code
    this.#outbox = []
    this.wake()
    this.onClose(this)
  }

  get isEmpty(): boolean {
    return this.#outbox.length === 0
  }

  /** Resolves at the next frame, at `untilMs` (the gateway's sweep wakes it), or when another poll waits in its place. */
  wait(untilMs: number): Promise<void> {
    this.wake()
    this.waitsUntilMs = untilMs
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  wake(): void {
    this.waitsUntilMs = 0
    this.#wake?.()
    this.#wake = undefined
  }

  /** What fits into one answer, as the members of a JSON array. */
  take(): string {
    let bytes = 0
    let count = 0
    for (const text of this.#outbox) {
      if (count >= limits.framesPerPoll || (count > 0 && bytes + text.length > limits.frameBytes / 2)) break
      bytes += text.length + 1
      count++
    }
    this.#bytes -= bytes - count
    return this.#outbox.splice(0, count).join(',')
  }
}
