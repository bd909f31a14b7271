import type { Log } from '@fleetupdate/sdk'
import {
  type AgentFrameOf,
  deriveNextRoot,
  isSameProof,
  newEphemeralKey,
  rekeyConfirmation,
  type ServerFrameOf,
} from '@fleetupdate/sdk/protocol'
import { describeError } from './errors.ts'
import type { Identity, IdentityStore, NextKey } from './identity.ts'

/** The keys of this agent: the one in use, and for a while the one that takes its place. */
export interface Keyring {
  /** The key of the next try: the new one as soon as the server has confirmed it. */
  readonly identity: Identity
  /** A session stands on this key, and the server proved to have it: the other one is forgotten. */
  opened(used: Identity): Promise<void>
  /** The key was refused by an answer that nobody signed: the next try is with the other one, where there is another. */
  refused(used: Identity): void
  /**
   * The server's part of an exchange (docs/reference/protocol.md section 2). Resolves with what to answer, or with `renew` where a new session is to
   * begin with the new key.
   */
  received(
    frame: ServerFrameOf<'rekey'>,
    used: Identity,
  ): Promise<AgentFrameOf<'rekey'> | 'renew' | undefined>
}

/** One per agent. Whatever it decides is on the disk before anybody is told. */
export function createKeyring(
  store: IdentityStore,
  start: { readonly identity: Identity; readonly next: NextKey | undefined },
  log: Log,
): Keyring {
  let { identity: current, next } = start
  let prefersOld = false
  let work: Promise<unknown> = Promise.resolve()
  const nextIdentity = (): Identity | undefined =>
    next?.isConfirmed ? { agentId: current.agentId, kid: next.kid, root: next.root } : undefined

  const begin = async (
    { kid, key = '' }: ServerFrameOf<'rekey'>,
    used: Identity,
  ): Promise<AgentFrameOf<'rekey'> | undefined> => {
    const own = newEphemeralKey()
    const { agentId } = current
    const transcript = { agentId, oldKid: used.kid, kid, agentKey: own.publicKey, serverKey: key }
    const root = deriveNextRoot(own, key, used.root, transcript)
    const expected = rekeyConfirmation(root, 'server', transcript)
    const pending = { kid, root, expected, isConfirmed: false }
    await store.saveNext(pending)
    next = pending
    const confirmation = rekeyConfirmation(root, 'agent', transcript)
    return { type: 'rekey', kid, key: own.publicKey, confirmation }
  }
  const conclude = async (
    kid: string,
    confirmation: string,
  ): Promise<AgentFrameOf<'rekey'> | 'renew' | undefined> => {
    if (next?.kid !== kid || !isSameProof(confirmation, next.expected)) return { type: 'rekey', kid }
    const confirmed = { ...next, isConfirmed: true }
    await store.saveNext(confirmed)
    next = confirmed
    prefersOld = false
    log.info('The server gave this agent a new key.', { kid })
    return 'renew'
  }

  return {
    get identity() {
      return (prefersOld ? undefined : nextIdentity()) ?? current
    },
    opened(used) {
      const done = work.then(async () => {
        if (used.kid === current.kid || used.kid !== next?.kid) return
        await store.promoteNext()
        current = used
        next = undefined
        prefersOld = false
      })
      work = done.catch(() => undefined)
      return done.catch((error) => log.error(`The new key could not be stored: ${describeError(error)}`))
    },
    refused(used) {
      if (nextIdentity()) prefersOld = used.kid === next?.kid
    },
    received(frame, used) {
      const { kid, key, confirmation } = frame
      // What was begun on another key than the one in use is void.
      const answer = work.then(() => {
        if (used.kid !== current.kid) return undefined
        if (key !== undefined) return begin(frame, used)
        return confirmation === undefined ? undefined : conclude(kid, confirmation)
      })
      work = answer.catch(() => undefined)
      return answer
    },
  }
}
