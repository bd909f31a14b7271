import { createHash } from 'node:crypto'
import { deriveShared, type EphemeralKey } from './enrolment.ts'
import { deriveKey, equalBytes, hmac } from './keys.ts'

/** What both sides saw while an agent got a new key; every field goes into the transcript, one a line. */
export interface RekeyTranscript {
  readonly agentId: string
  /** The name of the key that the session stands on, and of the new one. */
  readonly oldKid: string
  readonly kid: string
  /** Raw X25519 public keys, 32 bytes, base64url. */
  readonly agentKey: string
  readonly serverKey: string
}

/** SHA-256 over the transcript's lines. */
export function rekeyHash({ agentId, oldKid, kid, agentKey, serverKey }: RekeyTranscript): Buffer {
  const text = ['fleetupdate-rekey-v1', agentId, oldKid, kid, agentKey, serverKey].join('\n')
  return createHash('sha256').update(text).digest()
}

/**
 * The new root key, which never crosses the wire: from two fresh X25519 keys, so that whoever gets the old key later learns nothing of it, and
 * from the old root key. Throws where the peer's public key is malformed or of low order.
 */
export function deriveNextRoot(
  own: EphemeralKey,
  peerKey: string,
  oldRoot: Uint8Array,
  transcript: RekeyTranscript,
): Buffer {
  return deriveShared(own, peerKey, oldRoot, rekeyHash(transcript))
}

/** The proof that one side has the new root key, base64url. */
export function rekeyConfirmation(
  root: Uint8Array,
  side: 'agent' | 'server',
  transcript: RekeyTranscript,
): string {
  const label = side === 'agent' ? 'rekey/a2s' : 'rekey/s2a'
  return hmac(deriveKey(root, label, transcript.agentId, transcript.kid), rekeyHash(transcript)).toString(
    'base64url',
  )
}

/** Whether a proof is the expected one; both base64url. */
export function isSameProof(given: string, expected: string): boolean {
  return equalBytes(Buffer.from(given, 'base64url'), Buffer.from(expected, 'base64url'))
}
