import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { fleetError } from '../errors.ts'

/** Encrypts secrets at rest. What is sealed under one context opens under that context alone. */
export interface Sealer {
  /** `context` says what the secret is for (`agent-root:web-1`); it is authenticated, not stored. */
  seal(plain: Uint8Array, context: string): Uint8Array
  /** Throws FLT_SECRET_UNREADABLE where the key, the context or a single bit is another. */
  open(sealed: Uint8Array, context: string): Buffer
}

const version = 1
const ivBytes = 12
const tagBytes = 16

/** A sealer over one 32-byte key: version byte ‖ random 96-bit iv ‖ AES-256-GCM ciphertext ‖ 128-bit tag. */
export function createSealer(key: Uint8Array): Sealer {
  if (key.byteLength !== 32) throw new RangeError('A sealer needs a key of 32 bytes.')
  const ownKey = Buffer.from(key)
  return {
    seal(plain, context) {
      const iv = randomBytes(ivBytes)
      const cipher = createCipheriv('aes-256-gcm', ownKey, iv, { authTagLength: tagBytes })
      cipher.setAAD(associatedData(context))
      return Buffer.concat([
        Uint8Array.of(version),
        iv,
        cipher.update(plain),
        cipher.final(),
        cipher.getAuthTag(),
      ])
    },
    open(sealed, context) {
      if (sealed[0] !== version || sealed.byteLength < 1 + ivBytes + tagBytes) throw unreadable(context)
      const decipher = createDecipheriv('aes-256-gcm', ownKey, sealed.subarray(1, 1 + ivBytes), {
        authTagLength: tagBytes,
      })
      decipher.setAAD(associatedData(context))
      decipher.setAuthTag(sealed.subarray(-tagBytes))
      try {
        return Buffer.concat([decipher.update(sealed.subarray(1 + ivBytes, -tagBytes)), decipher.final()])
      } catch (cause) {
        throw unreadable(context, cause)
      }
    },
  }
}

function associatedData(context: string): Buffer {
  return Buffer.from(`fleetupdate/v${version}/sealed\0${context}`)
}

function unreadable(context: string, cause?: unknown): Error {
  return fleetError('FLT_SECRET_UNREADABLE', { context }, { cause })
}
