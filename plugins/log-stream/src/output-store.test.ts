import { openTestDatabase, type TestDatabase } from '@fleetupdate/sdk/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createOutputPages } from './output-pages.ts'
import { createOutputStore, type OwnOutputStore } from './output-store.ts'
import type { Piece } from './piece.ts'
import { limits } from './place-chunks.ts'
import { deleteOldOutput } from './retention.ts'
import { migrations } from './tables.ts'

let db: TestDatabase
let store: OwnOutputStore
let stored: Piece[]
let clock: number

beforeEach(async () => {
  db = await openTestDatabase(migrations)
  stored = []
  clock = 1_000
  store = createOutputStore(
    db,
    (_, pieces) => stored.push(...pieces),
    () => clock,
  )
})
afterEach(() => db.close())

const chunk = (offset: number, text: string, commandId = 'c1', endless = false) => ({
  commandId,
  agentId: 'vm-01',
  offset,
  end: offset + Buffer.byteLength(text),
  text,
  endless,
})

async function textOf(commandId: string, from = 0): Promise<string> {
  const pages = createOutputPages(db)
  let text = ''
  let position = from
  for (;;) {
    const page = await pages.read(commandId, position)
    const last = page.at(-1)
    if (!last) return text
    expect(page.reduce((sum, piece) => sum + piece.text.length, 0)).toBeLessThanOrEqual(256 * 1024)
    text += page.map((piece) => piece.text).join('')
    position = last.end
  }
}

describe('the output store', () => {
  test('stores a repeated or overlapping chunk once', async () => {
    await store.append([chunk(0, 'äö')])
    await store.append([chunk(0, 'äö')])
    await store.append([chunk(2, 'öü\n')])
    expect(await textOf('c1')).toBe('äöü\n')
    expect(await store.end('c1')).toBe(7)
  })

  test('refuses a gap and names the end', async () => {
    await store.append([chunk(0, 'abc')])
    await expect(store.append([chunk(4, 'e')])).rejects.toMatchObject({ code: 'FLT_OUTPUT_GAP' })
    await store.append([chunk(3, 'd')])
    expect(await textOf('c1')).toBe('abcd')
  })

  test('keeps the order of chunks that come while others are written', async () => {
    const lines = Array.from({ length: 500 }, (_, i) => `line ${i} é\n`)
    let offset = 0
    await Promise.all(
      lines.map((line) => {
        const one = chunk(offset, line)
        offset = one.end
        return store.append([one])
      }),
    )
    expect(await textOf('c1')).toBe(lines.join(''))
    expect(stored.length).toBeLessThan(10)
    expect(stored.map((piece) => piece.text).join('')).toBe(lines.join(''))
  })

  test('does not fail what was put together with a gap', async () => {
    const outcomes = await Promise.allSettled([
      store.append([chunk(0, 'a')]),
      store.append([chunk(1, 'b')]),
      store.append([chunk(9, 'gap')]),
      store.append([chunk(2, 'c')]),
      store.append([chunk(0, 'other', 'c2')]),
    ])
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ])
    expect(await textOf('c1')).toBe('abc')
    expect(await textOf('c2')).toBe('other')
  })

  test('forgets nothing and shows nothing of a write that failed', async () => {
    await store.append([chunk(0, 'a')])
    db.failNext()
    await expect(store.append([chunk(1, 'b')])).rejects.toThrow('disk is full')
    expect(await store.end('c1')).toBe(1)
    expect(stored).toHaveLength(1)
    await store.append([chunk(1, 'b')])
    expect(await textOf('c1')).toBe('ab')
  })

  test('knows the end after a restart', async () => {
    await store.append([chunk(0, 'abc')])
    const again = createOutputStore(db, () => undefined)
    expect(await again.end('c1')).toBe(3)
    await again.append([chunk(2, 'cd')])
    expect(await textOf('c1')).toBe('abcd')
  })

  test('never lets a second writer put text over the first', async () => {
    const second = createOutputStore(db, () => undefined)
    await store.append([chunk(0, 'a')])
    await second.append([chunk(1, 'b')])
    await expect(store.append([chunk(1, 'X')])).rejects.toMatchObject({ code: 'FLT_STORE_CONFLICT' })
    await store.append([chunk(1, 'b'), chunk(2, 'c')])
    expect(await textOf('c1')).toBe('abc')
  })

  test('keeps a ring of an endless command', async () => {
    const text = 'é'.repeat(limits.pieceBytes / 2)
    let offset = 0
    for (let i = 0; i < 200; i += 1) {
      await store.append([chunk(offset, text, 'c1', true)])
      offset += limits.pieceBytes
    }
    const kept = Buffer.byteLength(await textOf('c1'))
    expect(kept).toBeGreaterThanOrEqual(limits.outputBytes)
    expect(kept).toBeLessThanOrEqual(limits.outputBytes + limits.ringSlackBytes + limits.pieceBytes)
    expect(await store.end('c1')).toBe(200 * limits.pieceBytes)
  })

  test('reads from any offset, also inside of a character', async () => {
    await store.append([chunk(0, 'a€b')])
    await store.append([chunk(5, 'c')])
    expect(await textOf('c1', 1)).toBe('€bc')
    expect(await textOf('c1', 2)).toBe('bc')
    expect(await textOf('c1', 5)).toBe('c')
    expect(await textOf('c1', 6)).toBe('')
  })
})

describe('retention', () => {
  const states = new Map<string, string>()
  const clean = (limits: { before: number; totalBytes: number }): Promise<number> =>
    deleteOldOutput(
      {
        db,
        forget: store.forget,
        readCommand: async (id) => (states.has(id) ? ({ state: states.get(id) } as never) : undefined),
      },
      limits,
      new AbortController().signal,
    )

  beforeEach(async () => {
    states.clear()
    for (let i = 0; i < 50; i += 1) {
      clock = i
      states.set(`c${i}`, 'succeeded')
      await store.append([chunk(0, 'x'.repeat(100), `c${i}`)])
    }
  })

  test('deletes what is too old, but not of a command that still runs', async () => {
    states.set('c3', 'running')
    states.delete('c4')
    expect(await clean({ before: 30, totalBytes: 1e9 })).toBe(29)
    expect(await textOf('c3')).toHaveLength(100)
    expect(await textOf('c4')).toBe('')
    expect(await textOf('c30')).toHaveLength(100)
  })

  test('deletes the oldest until all fits', async () => {
    expect(await clean({ before: 0, totalBytes: 1000 })).toBe(40)
    expect(await textOf('c39')).toBe('')
    expect(await textOf('c40')).toHaveLength(100)
  })
})
