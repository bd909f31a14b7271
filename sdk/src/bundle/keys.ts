import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'

/** A publisher's key pair; `publicKey` is raw, base64url. */
export interface PublisherKey {
  readonly privateKey: KeyObject
  readonly publicKey: string
}

/** Makes a new Ed25519 key pair. */
export function createPublisherKey(): PublisherKey {
  const { privateKey } = generateKeyPairSync('ed25519')
  return { privateKey, publicKey: publicKeyOf(privateKey) }
}

/** The raw public key of a private one, base64url. Throws where it is not an Ed25519 key. */
export function publicKeyOf(privateKey: KeyObject): string {
  const { x, crv } = createPublicKey(privateKey).export({ format: 'jwk' })
  if (crv !== 'Ed25519' || x === undefined) throw new Error('it is not an Ed25519 key')
  return x
}

/** A raw public key as a key to verify with. Throws where it is none. */
export function importPublicKey(publicKey: string): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' })
}

/** The name of a public key: the first 32 hex digits of its SHA-256. */
export function keyIdOf(publicKey: string): string {
  return createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest('hex').slice(0, 32)
}
