import { createHash, createHmac, hkdfSync } from 'node:crypto'
import type { AuditRow } from './tables.ts'

export interface Actor {
  /** `nobody` is somebody who was not let in; `console` has the server's files in hand. */
  readonly type: 'user' | 'plugin' | 'agent' | 'server' | 'console' | 'nobody'
  readonly id: string
}

/** One thing that was done, or was refused. Never holds a secret. */
export interface AuditEntry {
  readonly actor: Actor
  /** `<noun>.<past participle>`, for example `agent.removed`. */
  readonly action: string
  /** What it was done to: an id, or ''. */
  readonly target?: string
  readonly address?: string | undefined
  readonly details?: Readonly<Record<string, unknown>>
}

export type AuditContent = Omit<AuditRow, 'seq' | 'mac' | 'hash'>

/** The columns of an entry; texts are cut to what a row should hold. */
export function contentOf(
  { actor, action, target = '', address = '', details = {} }: AuditEntry,
  more: Pick<AuditContent, 'chain' | 'at' | 'outcome'>,
): AuditContent {
  const text = JSON.stringify(details)
  return {
    ...more,
    actorType: actor.type,
    actorId: actor.id.slice(0, 256),
    action,
    target: target.slice(0, 256),
    address: address.slice(0, 64),
    details: text.length > 4096 ? JSON.stringify({ cut: text.slice(0, 4000) }) : text,
  }
}

/** SHA-256 (hex) over the columns, in one unambiguous text. */
export function digestOf(row: AuditContent): string {
  const { chain, at, actorType, actorId, action, target, outcome, address, details } = row
  const columns = [chain, at, actorType, actorId, action, target, outcome, address, details]
  return sha256(JSON.stringify(columns))
}

/** The key that rows are authenticated with; derived from the master key. */
export function rowKey(masterKey: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', masterKey, '', 'fleetupdate/v1/audit-rows', 32))
}

export function macOf(key: Uint8Array, digest: string): string {
  return createHmac('sha256', key).update(digest).digest('hex')
}

/** What the store computes while it inserts a row; `previous` is '' for the first one. */
export function hashOf(previous: string, seq: number, digest: string, mac: string): string {
  return sha256(`${previous}:${seq}:${digest}:${mac}`)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
