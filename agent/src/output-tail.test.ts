import { createHash, randomBytes } from 'node:crypto'
import { appendFileSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type AttemptFolder, attemptFolder } from './attempts.ts'
import { createOutputTail, type OutputSummary, type OutputTailOptions } from './output-tail.ts'
import { type OutputPoint, readOutput } from './output-text.ts'

let folder: AttemptFolder
beforeEach(() => {
  folder = attemptFolder(mkdtempSync(join(tmpdir(), 'agent-tail-')))
})
afterEach(() => rmSync(folder.dir, { recursive: true, force: true }))

const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex')

/** A server that stores and acknowledges, and a tail that talks to it. */
function follow(options: Partial<OutputTailOptions> & { from?: { stored: string; end: number } } = {}) {
  const store = {
    stored: Buffer.from(options.from?.stored ?? ''),
    end: options.from?.end ?? 0,
    most: 0,
    online: true,
  }
  let done: (summary: OutputSummary) => void = () => undefined
  let broke: (error: unknown) => void = () => undefined
  const drained = new Promise<OutputSummary>((resolve, reject) => {
    done = resolve
    broke = reject
  })
  const tail = createOutputTail({
    folder,
    endless: false,
    send(chunk) {
      if (!store.online) return false
      const bytes = Buffer.from(chunk.text)
      store.most = Math.max(store.most, bytes.length)
      if (chunk.offset <= store.end && chunk.end > store.end) {
        const isMarker = chunk.end - chunk.offset !== bytes.length
        store.stored = Buffer.concat([
          store.stored,
          isMarker ? bytes : bytes.subarray(store.end - chunk.offset),
        ])
        store.end = chunk.end
      }
      setImmediate(() => tail.acknowledged(store.end))
      return true
    },
    drained: done,
    failed: broke,
    ...options,
  })
  const timer = setInterval(() => tail.wake(), 20)
  return {
    store,
    tail,
    drained,
    async close() {
      clearInterval(timer)
      await tail.close()
    },
  }
}

describe('an output that the disk lost', () => {
  test('is said where the file is shorter than what was sent of it', async () => {
    writeFileSync(folder.output, '$ demo.says\nhalf')
    const { tail, drained, close } = follow({ from: { stored: '$ demo.says\nhalf and more', end: 25 } })
    tail.finish()
    expect(await drained).toEqual({ bytes: 25, damaged: true })
    await close()
  })

  test('is said where the file is gone', async () => {
    const { tail, drained, close } = follow()
    tail.finish()
    expect(await drained).toEqual({ bytes: 0, damaged: true })
    await close()
  })
})

describe('reading an output', () => {
  test('gives the same text however the bytes are cut', async () => {
    const raw = Buffer.concat([
      Buffer.from('aé€😀\0z'),
      Buffer.from([0xff, 0xc3, 0x28, 0xe2, 0x82, 0xf0, 0x9f, 0x98, 0x80, 0x80, 0xed, 0xa0, 0x80, 0xc0, 0xaf]),
      randomBytes(4000),
      Buffer.from([0xf0, 0x9f]),
    ])
    const expected = new TextDecoder('utf-8', { ignoreBOM: true }).decode(raw).replaceAll('\0', '\ufffd')
    for (const step of [1, 2, 3, 5, 64, 5000]) {
      writeFileSync(folder.output, '')
      const file = await open(folder.output, 'r')
      let point: OutputPoint = { raw: 0, text: 0 }
      let text = ''
      for (let at = 0; at <= raw.length; at += step) {
        appendFileSync(folder.output, raw.subarray(at, at + step))
        const complete = at + step >= raw.length
        for (;;) {
          const block = await readOutput(file, point, { complete })
          if (!block) break
          text += block.bytes.toString()
          point = block.to
        }
      }
      await file.close()
      expect(text).toBe(expected)
      expect(point).toEqual({ raw: raw.length, text: Buffer.byteLength(expected) })
    }
  })
})

describe('the tail of an output', () => {
  test('sends what comes while it comes, and says its length and hash at the end', async () => {
    writeFileSync(folder.output, 'first\n')
    const { store, tail, drained, close } = follow()
    tail.wake()
    await expect.poll(() => store.end).toBe(6)
    for (let line = 0; line < 200; line += 1) appendFileSync(folder.output, `line ${line} é€😀\n`)
    tail.finish()
    const summary = await drained
    expect(summary).toEqual({ bytes: statSync(folder.output).size, sha256: sha256(store.stored) })
    await close()
  })

  test('takes a line of 10 MiB less a byte in chunks that split no character', async () => {
    const line = '€'.repeat(Math.floor((10 * 1024 * 1024 - 1) / 3))
    writeFileSync(folder.output, line)
    const { store, tail, drained, close } = follow()
    tail.finish()
    expect(await drained).toEqual({ bytes: line.length * 3, sha256: sha256(line) })
    expect(store.stored.equals(Buffer.from(line))).toBe(true)
    expect(store.most).toBeLessThanOrEqual(65_536)
    await close()
  })

  test('drops the middle beyond 10 MiB, says how much, and hashes what is stored', async () => {
    const text = Array.from({ length: 1_500_000 }, (_, line) => `line ${line} ü\n`).join('')
    const raw = Buffer.from(text)
    writeFileSync(folder.output, raw)
    const { store, tail, drained, close } = follow()
    tail.finish()
    const summary = await drained
    const stored = store.stored.toString()
    const marker = /\n\[… (\d+) bytes dropped …\]\n/.exec(stored)
    const dropped = Number(marker?.[1])
    expect(summary).toEqual({ bytes: raw.length, droppedBytes: dropped, sha256: sha256(stored) })
    const [head = '', tailText = ''] = stored.split(marker?.[0] ?? '')
    expect(Buffer.byteLength(head) + dropped + Buffer.byteLength(tailText)).toBe(raw.length)
    expect(text.startsWith(head) && text.endsWith(tailText)).toBe(true)
    expect(Buffer.byteLength(head)).toBeGreaterThan(8 * 1024 * 1024 - 4)
    expect(Buffer.byteLength(tailText)).toBeGreaterThan(2 * 1024 * 1024 - 4)
    expect(store.end).toBe(raw.length)
    await close()
  })

  test('comes to the same end after a restart in the middle, also once the disk got the middle back', async () => {
    const sizes = { head: 200_000, tail: 100_000, reclaim: 300_000 }
    const raw = Buffer.concat(
      Array.from({ length: 40 }, () => Buffer.concat([randomBytes(20_000), Buffer.from('z'.repeat(40_000))])),
    )
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(raw).replaceAll('\0', '\ufffd')
    writeFileSync(folder.output, raw.subarray(0, 1_500_000))
    const first = follow({ sizes })
    first.tail.wake()
    await expect.poll(() => existsSync(folder.file('tail.json'))).toBe(true)
    await first.close()
    appendFileSync(folder.output, raw.subarray(1_500_000))
    const second = follow({ sizes, from: { stored: first.store.stored.toString(), end: first.store.end } })
    second.tail.finish()
    const summary = await second.drained
    await second.close()
    const stored = second.store.stored.toString()
    expect(summary.bytes).toBe(Buffer.byteLength(text))
    expect(summary.sha256).toBe(sha256(stored))
    const [head = '', last = ''] = stored.split(/\n\[… \d+ bytes dropped …\]\n/)
    expect(text.startsWith(head) && text.endsWith(last)).toBe(true)
    expect(Buffer.byteLength(last)).toBeGreaterThan(sizes.tail - 4)
  })

  test('goes on where the server is, after a lost session and after the server lost something', async () => {
    writeFileSync(folder.output, 'a'.repeat(300_000))
    const { store, tail, drained, close } = follow()
    store.online = false
    tail.wake()
    await expect.poll(() => store.end).toBe(0)
    store.online = true
    tail.opened()
    await expect.poll(() => store.end).toBe(300_000)
    store.end = 100_000
    store.stored = store.stored.subarray(0, 100_000)
    tail.acknowledged(100_000)
    tail.finish()
    expect(await drained).toMatchObject({ bytes: 300_000 })
    expect(store.stored.length).toBe(300_000)
    await close()
  })

  test('keeps the disk bounded for an endless output, with offsets that go on', async () => {
    const sizes = { head: 800_000, tail: 200_000, reclaim: 400_000 }
    writeFileSync(folder.output, '')
    const { store, tail, close } = follow({ endless: true, sizes })
    for (let round = 1; round <= 20; round += 1) {
      appendFileSync(folder.output, 'x'.repeat(200_000))
      tail.wake()
      await expect.poll(() => store.end).toBe(round * 200_000)
    }
    await expect.poll(() => statSync(folder.output).blocks * 512).toBeLessThan(1_500_000)
    expect(statSync(folder.output).size).toBe(4_000_000)
    await close()
    const again = follow({ endless: true, sizes, from: { stored: '', end: store.end } })
    appendFileSync(folder.output, 'the end')
    again.tail.finish()
    expect(await again.drained).toEqual({ bytes: 4_000_007 })
    expect(again.store.stored.toString()).toBe('the end')
    await again.close()
  })

  test('drops the oldest of an endless output that nobody takes', async () => {
    const sizes = { head: 400_000, tail: 100_000, reclaim: 200_000 }
    writeFileSync(folder.output, 'y'.repeat(5_000_000))
    const { store, tail, drained, close } = follow({ endless: true, sizes })
    store.online = false
    tail.wake()
    await expect.poll(() => existsSync(folder.file('tail.json'))).toBe(true)
    store.online = true
    tail.finish()
    tail.opened()
    const summary = await drained
    expect(summary.bytes).toBe(5_000_000)
    expect(summary.droppedBytes).toBeGreaterThan(1_000_000)
    expect(store.stored.toString()).toMatch(/bytes dropped/)
    expect(store.end).toBe(5_000_000)
    await close()
  })
})
