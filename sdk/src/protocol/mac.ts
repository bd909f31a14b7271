import { createHmac, hash, timingSafeEqual } from 'node:crypto'

/** How a MAC is written: `base64` in headers, `base64url` in frames. */
export type MacEncoding = 'base64' | 'base64url'

const blockBytes = 64
const macBytes = 32
/** Longer texts are hashed as a stream: what they cost is the hashing itself. */
const scratchBytes = 64 * 1024

// One set of buffers serves every call: nothing here waits, so that no call meets another. Beyond the key, the pads never change.
const inner = Buffer.alloc(blockBytes + scratchBytes, 0x36)
const outer = Buffer.alloc(blockBytes + macBytes, 0x5c)
const given = Buffer.alloc(44)
const expected = Buffer.alloc(44)

/**
 * HMAC-SHA256 (RFC 2104) of a text in UTF-8, written as text. Made of two one-shot hashes: `createHmac` builds a stream for each call, which
 * takes three times as long, and a busy server does little else. Keys have 32 bytes.
 */
export function macText(key: Uint8Array, text: string, encoding: MacEncoding): string {
  if (key.length !== macBytes || text.length * 3 > scratchBytes)
    return createHmac('sha256', key).update(text).digest(encoding)
  pad(key)
  const end = blockBytes + inner.write(text, blockBytes, 'utf8')
  outer.write(hash('sha256', inner.subarray(0, end), 'binary'), blockBytes, 'latin1')
  return hash('sha256', outer, encoding)
}

/** Whether a MAC is that of the text, without telling by its timing where it differs. Only the one spelling that {@link macText} writes fits. */
export function isMacOf(mac: string, key: Uint8Array, text: string, encoding: MacEncoding): boolean {
  const right = macText(key, text, encoding)
  if (mac.length !== right.length) return false
  // `base64url` is one sign shorter.
  given[43] = expected[43] = 0
  given.write(mac, 'utf8')
  expected.write(right, 'latin1')
  return timingSafeEqual(given, expected)
}

function pad(key: Uint8Array): void {
  for (let i = 0; i < macBytes; i++) {
    const byte = key[i] ?? 0
    inner[i] = byte ^ 0x36
    outer[i] = byte ^ 0x5c
  }
}
