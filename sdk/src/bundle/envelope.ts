import { type KeyObject, sign, verify } from 'node:crypto'
import type { Envelope } from './envelope-schema.ts'
import { keyIdOf } from './keys.ts'

export const payloadType = 'application/vnd.fleetupdate.bundle+json'

/** Signs bytes with a private Ed25519 key; `publicKey` is its raw public key, base64url. */
export function signEnvelope(payload: Buffer, key: KeyObject, publicKey: string): Envelope {
  const sig = sign(null, preAuthEncoding(payload), key).toString('base64')
  return {
    payloadType,
    payload: payload.toString('base64'),
    signatures: [{ keyid: keyIdOf(publicKey), sig }],
  }
}

/** Whether the envelope's signature is right for this public key. */
export function verifyEnvelope(envelope: Envelope, key: KeyObject): boolean {
  const payload = Buffer.from(envelope.payload, 'base64')
  return envelope.signatures.every(({ sig }) =>
    verify(null, preAuthEncoding(payload), key, Buffer.from(sig, 'base64')),
  )
}

/** DSSE v1: type and payload with their lengths, so that no other pair gives the same bytes. */
function preAuthEncoding(payload: Buffer): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `
  return Buffer.concat([Buffer.from(head), payload])
}
