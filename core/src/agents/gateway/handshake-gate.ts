import { fleetError } from '../../errors.ts'

/** Admits a bounded number of handshake steps at once, the others in the order in which they came: a fleet that returns leaves room for people. */
export interface HandshakeGate {
  /** A step of an agent that comes anew. Rejects with FLT_AGENT_BUSY where too many wait, or it waited for too long. */
  enter<T>(step: Step<T>): Promise<T>
  /** A later step of one that was let in: it goes before all who come anew, and is never refused. */
  proceed<T>(step: Step<T>): Promise<T>
  /** Refuses those who waited for too long, also while no step ends. */
  sweep(): void
}

export interface HandshakeGateOptions {
  readonly now: () => number
  readonly mostAtOnce?: number
  readonly mostWaiting?: number
  readonly longestMs?: number
}

type Step<T> = () => Promise<T>

interface Waiter {
  readonly sinceMs: number
  /** Resolves when its step ended, however it did. */
  begin(): Promise<void>
  refuse(): void
}

/** An agent waits 10 s for its welcome: it must hear in time that none will come. */
const defaults = { mostAtOnce: 8, mostWaiting: 4_000, longestMs: 6_000 }

export function createHandshakeGate(options: HandshakeGateOptions): HandshakeGate {
  const { now, mostAtOnce, mostWaiting, longestMs } = { ...defaults, ...options }
  const known: Waiter[] = []
  const anew: Waiter[] = []
  let underWay = 0
  let isScheduled = false

  /** In a later turn of the loop, so that whatever else came in meanwhile has its turn in between. */
  const schedule = (): void => {
    if (isScheduled || underWay >= mostAtOnce) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      sweep()
      while (underWay < mostAtOnce) {
        const waiter = known.shift() ?? anew.shift()
        if (!waiter) return
        underWay++
        void waiter.begin().then(ended)
      }
    })
  }
  const ended = (): void => {
    underWay--
    schedule()
  }
  const wait = <T>(queue: Waiter[], step: Step<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      queue.push({
        sinceMs: now(),
        begin: () => step().then(resolve, reject),
        refuse: () => reject(fleetError('FLT_AGENT_BUSY')),
      })
      schedule()
    })
  const sweep = (): void => {
    const lateMs = now() - longestMs
    for (let first = anew[0]; first && first.sinceMs < lateMs; first = anew[0]) {
      anew.shift()
      first.refuse()
    }
  }

  return {
    async enter(step) {
      if (anew.length >= mostWaiting) throw fleetError('FLT_AGENT_BUSY')
      return wait(anew, step)
    },
    proceed: (step) => wait(known, step),
    sweep,
  }
}
