import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto'
import { deriveKey, equalBytes, hkdf, hmac } from './keys.ts'

/** What both sides saw during an enrolment; every field goes into the transcript, one a line. */
export interface Transcript {
  readonly agentId: string
  /** `psk`, or the id of an enrolment token. */
  readonly secretId: string
  readonly enrolmentId: string
  readonly kid: string
  /** Raw X25519 public keys, 32 bytes, base64url. */
  readonly agentKey: string
  readonly serverKey: string
}

export interface EphemeralKey {
  readonly privateKey: KeyObject
  /** Raw X25519 public key, 32 bytes, base64url. */
  readonly publicKey: string
}

const spkiPrefix = Buffer.from('302a300506032b656e032100', 'hex')
const pkcs8Prefix = Buffer.from('302e020100300506032b656e04220420', 'hex')

export function newEphemeralKey(): EphemeralKey {
  const { privateKey, publicKey } = generateKeyPairSync('x25519')
  return { privateKey, publicKey: rawPublic(publicKey) }
}

/** The same from 32 raw bytes; only test vectors need it. */
export function ephemeralKeyFrom(raw: Uint8Array): EphemeralKey {
  const privateKey = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, raw]),
    format: 'der',
    type: 'pkcs8',
  })
  return { privateKey, publicKey: rawPublic(createPublicKey(privateKey)) }
}

/** SHA-256 over the transcript's lines. */
export function transcriptHash(transcript: Transcript): Buffer {
  const { agentId, secretId, enrolmentId, kid, agentKey, serverKey } = transcript
  const text = ['fleetupdate-enrolment-v1', agentId, secretId, enrolmentId, kid, agentKey, serverKey].join(
    '\n',
  )
  return createHash('sha256').update(text).digest()
}

/**
 * The agent's root key, which never crosses the wire: HKDF over the X25519 secret followed by the enrolment secret.
 * Throws where the peer's public key is malformed or of low order.
 */
export function deriveRootKey(
  own: EphemeralKey,
  peerKey: string,
  secret: Uint8Array,
  transcript: Transcript,
): Buffer {
  return deriveShared(own, peerKey, secret, transcriptHash(transcript))
}

/** A new root key from two ephemeral keys and what both sides know already; `hash` binds it to what both saw. */
export function deriveShared(own: EphemeralKey, peerKey: string, secret: Uint8Array, hash: Buffer): Buffer {
  const raw = Buffer.from(peerKey, 'base64url')
  if (raw.length !== 32) throw new RangeError('An X25519 public key has 32 bytes.')
  const publicKey = createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' })
  const shared = diffieHellman({ privateKey: own.privateKey, publicKey })
  if (shared.every((byte) => byte === 0)) throw new RangeError('The public key is of low order.')
  return hkdf(Buffer.concat([shared, secret]), hash, 'fleetupdate/v1/root')
}

/** The proof that one side knows the root key of this transcript, base64url. */
export function confirmation(root: Uint8Array, side: 'agent' | 'server', transcript: Transcript): string {
  const key = deriveKey(
    root,
    side === 'agent' ? 'enrol/a2s' : 'enrol/s2a',
    transcript.agentId,
    transcript.kid,
  )
  return hmac(key, transcriptHash(transcript)).toString('base64url')
}

export function confirms(
  root: Uint8Array,
  side: 'agent' | 'server',
  transcript: Transcript,
  proof: string,
): boolean {
  return equalBytes(
    Buffer.from(proof, 'base64url'),
    Buffer.from(confirmation(root, side, transcript), 'base64url'),
  )
}

function rawPublic(key: KeyObject): string {
  return key.export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length).toString('base64url')
}
