import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createHandshakeGate, type HandshakeGate } from './handshake-gate.ts'

/** Steps that last until they are told to end. */
function setUp(options: { mostAtOnce?: number; mostWaiting?: number } = {}) {
  let nowMs = 0
  const gate = createHandshakeGate({ now: () => nowMs, longestMs: 1_000, ...options })
  const begun: string[] = []
  const ends = new Map<string, (error?: Error) => void>()
  const step = (name: string) => () =>
    new Promise<string>((resolve, reject) => {
      begun.push(name)
      ends.set(name, (error) => (error ? reject(error) : resolve(name)))
    })
  return {
    begun,
    advance: (ms: number) => (nowMs += ms),
    sweep: () => gate.sweep(),
    go: (way: Exclude<keyof HandshakeGate, 'sweep'>, name: string) => gate[way](step(name)),
    async end(name: string, error?: Error) {
      ends.get(name)?.(error)
      await turn()
      await turn()
    },
  }
}

describe('the gate of handshakes', () => {
  test('lets a bounded number in at once, and the others in the order in which they came', async () => {
    const { go, begun, end } = setUp({ mostAtOnce: 2 })
    const all = ['a', 'b', 'c', 'd'].map((name) => go('enter', name))
    await turn()
    expect(begun).toEqual(['a', 'b'])
    await end('b')
    expect(begun).toEqual(['a', 'b', 'c'])
    await end('a')
    expect(begun).toEqual(['a', 'b', 'c', 'd'])
    await end('c')
    await end('d')
    expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('gives the place of a step that failed to the next', async () => {
    const { go, begun, end } = setUp({ mostAtOnce: 1 })
    const failing = expect(go('enter', 'a')).rejects.toThrow('no disk')
    const next = go('enter', 'b')
    await turn()
    await end('a', new Error('no disk'))
    await failing
    expect(begun).toEqual(['a', 'b'])
    await end('b')
    expect(await next).toBe('b')
  })

  test('takes those who were let in before those who come anew', async () => {
    const { go, begun, end } = setUp({ mostAtOnce: 1 })
    void go('enter', 'a')
    await turn()
    void go('enter', 'new')
    void go('proceed', 'known')
    await end('a')
    expect(begun).toEqual(['a', 'known'])
  })

  test('starts nothing in the turn in which it was asked', async () => {
    const { go, begun } = setUp()
    void go('enter', 'a')
    await Promise.resolve()
    expect(begun).toEqual([])
    await turn()
    expect(begun).toEqual(['a'])
  })

  test('refuses who comes when too many wait', async () => {
    const { go } = setUp({ mostAtOnce: 1, mostWaiting: 1 })
    void go('enter', 'a')
    await turn()
    void go('enter', 'b')
    await expect(go('enter', 'c')).rejects.toMatchObject({ code: 'FLT_AGENT_BUSY', status: 503 })
  })

  test('refuses who waited for too long although no step ends, and never one that was let in', async () => {
    const { go, advance, sweep, begun, end } = setUp({ mostAtOnce: 1 })
    void go('enter', 'a')
    await turn()
    const late = expect(go('enter', 'late')).rejects.toMatchObject({ code: 'FLT_AGENT_BUSY' })
    void go('proceed', 'known')
    advance(1_001)
    sweep()
    await late
    await end('a')
    expect(begun).toEqual(['a', 'known'])
  })
})
