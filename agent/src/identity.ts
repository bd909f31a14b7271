import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '@fleetupdate/sdk'
import { createCheck, parseJson } from './check.ts'
import { readText, writeDurably } from './durable-file.ts'
import { agentError } from './errors.ts'
import { PendingEnrolment, StoredIdentity } from './schemas.ts'

/** Who this agent is to its server. `root` never leaves the machine. */
export interface Identity {
  readonly agentId: string
  readonly kid: string
  /** 32 bytes. */
  readonly root: Buffer
}

/** A second key, which takes the place of the first once it was used. */
export interface NextKey {
  readonly kid: string
  readonly root: Buffer
  /** What proves that the server has it too, base64url. */
  readonly expected: string
  /** The server proved it. */
  readonly isConfirmed: boolean
}

/** The identity and a pending enrolment on disk, each file 0600 and replaced whole. */
export interface IdentityStore {
  /** Undefined on a machine that was never enrolled; throws where the file is damaged: it is never replaced silently. */
  load(): Promise<Identity | undefined>
  /** The key that is to take its place, where there is one. */
  next(): Promise<NextKey | undefined>
  saveNext(next: NextKey): Promise<void>
  /** The next key is the only one from now on. */
  promoteNext(): Promise<void>
  /** Stores the identity, then forgets the pending enrolment. */
  adopt(pending: PendingEnrolment): Promise<Identity>
  pending(): Promise<PendingEnrolment | undefined>
  savePending(pending: PendingEnrolment): Promise<void>
}

const identityCheck = createCheck(StoredIdentity)
const pendingCheck = createCheck(PendingEnrolment)

/** The identity files of one state folder. */
export function createIdentityStore(stateDir: string, log?: Pick<Log, 'error'>): IdentityStore {
  const identityFile = join(stateDir, 'identity.json')
  const pendingFile = join(stateDir, 'enrolment.json')
  const read = async (): Promise<StoredIdentity | undefined> => {
    const text = await readText(identityFile)
    if (text === undefined) return undefined
    const value = parseJson(text)
    if (identityCheck.accepts(value)) return value
    const problem = value === undefined ? 'it is not JSON' : identityCheck.problem(value)
    throw agentError('FLT_AGENT_IDENTITY_DAMAGED', { file: identityFile, problem })
  }
  const write = (stored: StoredIdentity): Promise<void> =>
    writeDurably(identityFile, `${JSON.stringify(stored, undefined, 2)}\n`)
  return {
    async load() {
      const stored = await read()
      return stored && toIdentity(stored)
    },
    async next() {
      const next = (await read())?.next
      return next && { ...next, root: Buffer.from(next.rootKey, 'base64url'), isConfirmed: next.confirmed }
    },
    async saveNext({ kid, root, expected, isConfirmed }) {
      const stored = await read()
      if (!stored)
        throw agentError('FLT_AGENT_IDENTITY_DAMAGED', { file: identityFile, problem: 'it is gone' })
      await write({
        ...stored,
        next: { kid, rootKey: root.toString('base64url'), expected, confirmed: isConfirmed },
      })
    },
    async promoteNext() {
      const stored = await read()
      if (!stored?.next) return
      const { next, ...rest } = stored
      await write({ ...rest, kid: next.kid, rootKey: next.rootKey })
    },
    async adopt(pending) {
      const { agentId, kid, rootKey } = pending
      const stored: StoredIdentity = {
        version: 1,
        agentId,
        kid,
        rootKey,
        enrolledAt: new Date().toISOString(),
      }
      await write(stored)
      await rm(pendingFile, { force: true })
      return toIdentity(stored)
    },
    async pending() {
      const text = await readText(pendingFile)
      if (text === undefined) return undefined
      const value = parseJson(text)
      if (pendingCheck.accepts(value)) return value
      const aside = `${pendingFile}.damaged`
      await rename(pendingFile, aside)
      const problem = value === undefined ? 'it is not JSON' : pendingCheck.problem(value)
      const effect = 'the enrolment begins anew. If the server says that the id is taken, reset it there.'
      const { code, message } = agentError('FLT_AGENT_FILE_DAMAGED', {
        file: pendingFile,
        problem,
        aside,
        effect,
      })
      log?.error(`${code}: ${message}`)
      return undefined
    },
    savePending: (pending) => writeDurably(pendingFile, `${JSON.stringify(pending)}\n`),
  }
}

/** Refuses an identity that is not the one the operator configured. */
export function assertConfigured(identity: Identity, configured: string | undefined): void {
  if (configured === undefined || configured === identity.agentId) return
  throw agentError('FLT_AGENT_IDENTITY_OTHER', { configured, enrolled: identity.agentId })
}

function toIdentity({ agentId, kid, rootKey }: StoredIdentity): Identity {
  return { agentId, kid, root: Buffer.from(rootKey, 'base64url') }
}
