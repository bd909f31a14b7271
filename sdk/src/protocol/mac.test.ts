import { createHmac, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { isMacOf, macText } from './mac.ts'

const texts = [
  '',
  'a',
  'wörld',
  '😀'.repeat(50),
  '\ud800 alone',
  'x'.repeat(21_845),
  'x'.repeat(21_846),
  'é'.repeat(500_000),
]
const encodings = ['base64', 'base64url'] as const

describe.each(encodings)('a MAC written as %s', (encoding) => {
  test('is the HMAC-SHA256 that node:crypto makes, whatever came before it', () => {
    for (const text of [...texts, ...texts]) {
      const key = randomBytes(32)
      expect(macText(key, text, encoding)).toBe(createHmac('sha256', key).update(text).digest(encoding))
    }
  })

  test('fits its own key and text alone, in one spelling alone', () => {
    const key = randomBytes(32)
    const mac = macText(key, 'text', encoding)
    expect(isMacOf(mac, key, 'text', encoding)).toBe(true)
    expect(isMacOf(mac, randomBytes(32), 'text', encoding)).toBe(false)
    expect(isMacOf(mac, key, 'texT', encoding)).toBe(false)
    for (let i = 0; i < mac.length; i++)
      for (const other of ['A', 'B', '=', ' ', '\0', String.fromCharCode(mac.charCodeAt(i) + 256)]) {
        if (other === mac[i]) continue
        expect(isMacOf(mac.slice(0, i) + other + mac.slice(i + 1), key, 'text', encoding)).toBe(false)
      }
    for (const wrong of ['', mac.slice(1), `${mac}=`, 'é'.repeat(22)])
      expect(isMacOf(wrong, key, 'text', encoding)).toBe(false)
  })
})
