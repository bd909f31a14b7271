import { randomInt } from 'node:crypto'

/** Nonces seen lately, 8 bytes each, so that millions of heartbeats fit in memory. */
export interface NonceMemory {
  /** Remembers a nonce; false where this agent has already used it in the last eleven minutes or more. */
  use(agentId: string, nonce: string): boolean
  readonly size: number
}

/** Three generations of this length cover every moment at which a signature is still inside its window. */
const generationMs = 330_000
const generations = 3

export function createNonceMemory(now: () => number = Date.now): NonceMemory {
  const seed = randomInt(2 ** 32)
  const tables: Table[] = [newTable()]
  let turnsAt = now() + generationMs

  const turn = (): void => {
    const late = now() - turnsAt
    if (late < 0) return
    const turns = Math.min(generations, 1 + Math.floor(late / generationMs))
    for (let i = 0; i < turns; i++) tables.unshift(newTable())
    tables.length = Math.min(tables.length, generations)
    turnsAt = now() + generationMs
  }

  return {
    use(agentId, nonce) {
      turn()
      const key = fingerprint(seed, agentId, nonce)
      for (const table of tables) if (has(table, key)) return false
      add(tables[0] as Table, key)
      return true
    },
    get size() {
      return tables.reduce((sum, table) => sum + table.count, 0)
    },
  }
}

interface Table {
  slots: Float64Array
  count: number
}

function newTable(): Table {
  return { slots: new Float64Array(1024), count: 0 }
}

/** 52 of the nonce's random bits, turned by a secret of this process and the agent, so that no agent can aim at a slot. Never 0. */
function fingerprint(seed: number, agentId: string, nonce: string): number {
  let mix = seed
  for (let i = 0; i < agentId.length; i++) mix = Math.imul(mix ^ agentId.charCodeAt(i), 0x01000193)
  const bytes = Buffer.from(nonce, 'base64url')
  let low = mix
  let high = ~mix
  for (let i = 0; i + 8 <= bytes.length; i += 8) {
    low = Math.imul(low ^ bytes.readUInt32LE(i), 0x85ebca6b)
    low ^= low >>> 15
    high = Math.imul(high ^ bytes.readUInt32LE(i + 4), 0xc2b2ae35)
    high ^= high >>> 13
  }
  return (high & 0xfffff) * 2 ** 32 + (low >>> 0) + 1
}

function slotOf(slots: Float64Array, key: number): number {
  const mask = slots.length - 1
  let slot = Math.imul(key | 0, 0x9e3779b1) & mask
  while (slots[slot] !== 0 && slots[slot] !== key) slot = (slot + 1) & mask
  return slot
}

function has(table: Table, key: number): boolean {
  return table.slots[slotOf(table.slots, key)] === key
}

function add(table: Table, key: number): void {
  if (table.count * 2 >= table.slots.length) {
    const old = table.slots
    table.slots = new Float64Array(old.length * 2)
    for (const kept of old) if (kept !== 0) table.slots[slotOf(table.slots, kept)] = kept
  }
  table.slots[slotOf(table.slots, key)] = key
  table.count++
}
