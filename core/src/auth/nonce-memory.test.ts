import { newNonce } from '@fleetupdate/sdk/protocol'
import { expect, test } from 'vitest'
import { createNonceMemory } from './nonce-memory.ts'

test('a nonce is good once for each agent', () => {
  const memory = createNonceMemory()
  const nonce = newNonce()
  expect(memory.use('a', nonce)).toBe(true)
  expect(memory.use('a', nonce)).toBe(false)
  expect(memory.use('b', nonce)).toBe(true)
})

test('every one of 50,000 nonces is remembered, and none is mistaken for another', () => {
  const memory = createNonceMemory()
  const nonces = Array.from({ length: 50_000 }, newNonce)
  expect(nonces.every((nonce) => memory.use('a', nonce))).toBe(true)
  expect(nonces.some((nonce) => memory.use('a', nonce))).toBe(false)
  expect(memory.size).toBe(50_000)
})

test('is remembered for as long as a signature can be inside its window, and forgotten after that', () => {
  let now = 0
  const memory = createNonceMemory(() => now)
  const nonce = newNonce()
  memory.use('a', nonce)
  for (now = 60_000; now <= 660_000; now += 60_000) expect(memory.use('a', nonce)).toBe(false)
  now = 2_000_000
  expect(memory.use('a', nonce)).toBe(true)
  expect(memory.size).toBe(1)
})
