import { deriveKey, equalBytes, hkdf, hmac } from './keys.ts'

export type Direction = 'a2s' | 's2a'

/** The two keys of one WebSocket session, one per direction. */
export interface SessionKeys {
  readonly session: string
  readonly a2s: Buffer
  readonly s2a: Buffer
}

/**
 * Derives the keys of a session from the agent's root key and both nonces (base64url): the agent's is the nonce of its signed
 * upgrade, the server's comes in `welcome`.
 */
export function deriveSessionKeys(
  root: Uint8Array,
  identity: { readonly agentId: string; readonly kid: string },
  session: string,
  nonces: { readonly agent: string; readonly server: string },
): SessionKeys {
  const salt = Buffer.concat([
    Buffer.from(nonces.agent, 'base64url'),
    Buffer.from(nonces.server, 'base64url'),
  ])
  const derive = (direction: Direction): Buffer =>
    hkdf(
      deriveKey(root, `ws/${direction}`, identity.agentId, identity.kid),
      salt,
      `fleetupdate/v1/session\0${session}`,
    )
  return { session, a2s: derive('a2s'), s2a: derive('s2a') }
}

/** One frame as sent: `<sequence> <mac, base64url> <payload>`. The sequence starts at 1 in each direction. */
export function sealFrame(
  keys: SessionKeys,
  direction: Direction,
  sequence: number,
  payload: string,
): string {
  return `${sequence} ${frameMac(keys, direction, sequence, payload).toString('base64url')} ${payload}`
}

/** The payload of a frame, or undefined where its sequence or MAC is not exactly what must come next. */
export function openFrame(
  keys: SessionKeys,
  direction: Direction,
  expected: number,
  text: string,
): string | undefined {
  const split = splitFrame(text)
  if (!split || split.sequence !== expected) return undefined
  return equalBytes(split.mac, frameMac(keys, direction, expected, split.payload)) ? split.payload : undefined
}

/** The payload before its MAC could be checked; only for `welcome`, which carries the nonce that the keys need. */
export function peekPayload(text: string): string | undefined {
  return splitFrame(text)?.payload
}

function splitFrame(text: string): { sequence: number; mac: Buffer; payload: string } | undefined {
  const first = text.indexOf(' ')
  const second = text.indexOf(' ', first + 1)
  if (first < 1 || first > 15 || second !== first + 44) return undefined
  const digits = text.slice(0, first)
  if (!/^[1-9][0-9]*$/.test(digits)) return undefined
  const mac = Buffer.from(text.slice(first + 1, second), 'base64url')
  // One spelling alone: the last sign has bits that decoding ignores.
  if (!text.startsWith(mac.toString('base64url'), first + 1)) return undefined
  return {
    sequence: Number(digits),
    mac,
    payload: text.slice(second + 1),
  }
}

function frameMac(keys: SessionKeys, direction: Direction, sequence: number, payload: string): Buffer {
  return hmac(keys[direction], `${direction}\n${keys.session}\n${sequence}\n${payload}`)
}
