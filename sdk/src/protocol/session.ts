import { deriveKey, hkdf } from './keys.ts'
import { isMacOf, macText } from './mac.ts'

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
  const mac = macText(keys[direction], signedText(keys, direction, sequence, payload), 'base64url')
  return `${sequence} ${mac} ${payload}`
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
  const { mac, payload } = split
  return isMacOf(mac, keys[direction], signedText(keys, direction, expected, payload), 'base64url')
    ? payload
    : undefined
}

/** The payload before its MAC could be checked; only for `welcome`, which carries the nonce that the keys need. */
export function peekPayload(text: string): string | undefined {
  return splitFrame(text)?.payload
}

function splitFrame(text: string): { sequence: number; mac: string; payload: string } | undefined {
  const first = text.indexOf(' ')
  const second = text.indexOf(' ', first + 1)
  if (first < 1 || first > 15 || second !== first + 44) return undefined
  const digits = text.slice(0, first)
  if (!/^[1-9][0-9]*$/.test(digits)) return undefined
  return { sequence: Number(digits), mac: text.slice(first + 1, second), payload: text.slice(second + 1) }
}

function signedText(keys: SessionKeys, direction: Direction, sequence: number, payload: string): string {
  return `${direction}\n${keys.session}\n${sequence}\n${payload}`
}
