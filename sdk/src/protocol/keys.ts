import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

export type KeyLabel =
  | 'http/a2s'
  | 'http/s2a'
  | 'ws/a2s'
  | 'ws/s2a'
  | 'enrol/a2s'
  | 'enrol/s2a'
  | 'rekey/a2s'
  | 'rekey/s2a'

/** One 32-byte key for one purpose and direction, derived from an agent's root key (RFC 5869, SHA-256, empty salt). */
export function deriveKey(root: Uint8Array, label: KeyLabel, agentId: string, kid: string): Buffer {
  return hkdf(root, Buffer.alloc(0), `fleetupdate/v1/${label}\0${agentId}\0${kid}`)
}

export function hkdf(ikm: Uint8Array, salt: Uint8Array, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', ikm, salt, Buffer.from(info, 'utf8'), 32))
}

export function hmac(key: Uint8Array, data: Uint8Array | string): Buffer {
  return createHmac('sha256', key).update(data).digest()
}

/** Compares without telling by its timing where the difference is. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
