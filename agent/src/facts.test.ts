import type { ExecutorContext } from '@fleetupdate/sdk'
import type { AgentFrameOf, FactItem } from '@fleetupdate/sdk/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createServerClock } from './clock.ts'
import type { Outbox } from './connection.ts'
import { createExecutorContext } from './executor-context.ts'
import type { HostedExecutor } from './executor-host.ts'
import { createFacts, type Facts } from './facts.ts'
import { createLog } from './log.ts'
import { createPrivilegedWay } from './privilege/privilege.ts'

type Source = ((context: ExecutorContext) => unknown) | { everySeconds: number; collect: () => unknown }

const log = createLog(() => undefined, { least: 'error' })
const clock = createServerClock()
let stop: AbortController
let sent: FactItem[]
let outbox: { online: boolean } & Outbox
beforeEach(() => {
  stop = new AbortController()
  sent = []
  outbox = {
    online: true,
    send: (frame) => {
      sent.push(...(frame as AgentFrameOf<'facts'>).items)
    },
  }
})
afterEach(() => stop.abort())

function facts(sources: Record<string, Source>): Facts {
  const schemas = Object.fromEntries(
    Object.keys(sources).map((name) => [name, { type: ['integer', 'string'] }]),
  )
  const contract = { id: 'demo', facts: schemas, facets: {}, commands: {} }
  const hosted: HostedExecutor = {
    ...{
      id: 'demo',
      folder: '',
      version: '1',
      contractHash: '',
      manifest: undefined,
      reason: undefined,
      trust: 'built-in',
      contract,
    },
    executor: { contract, facts: sources, commands: {} },
  }
  return createFacts({
    executors: () => [hosted],
    intervalMs: 60_000,
    context: (_executor, signal) =>
      createExecutorContext({
        manifest: { id: 'demo', sdk: '1' },
        way: createPrivilegedWay('none', { helper: '/nowhere', systemd: false }),
        signal,
        log,
        scratch: '/nowhere',
        privileges: async () => [],
        excludes: async () => false,
      }),
    outbox,
    clock,
    log,
    signal: stop.signal,
    collectorTimeoutMs: 100,
  })
}

describe('facts', () => {
  test('are sent when they changed, with rising revisions', async () => {
    let value = 1
    const round = facts({ number: () => value })
    await round.refresh('demo')
    await round.refresh('demo')
    value = 2
    await round.refresh('demo')
    expect(sent.map(({ value: one, revision }) => [one, revision])).toEqual([
      [1, 1],
      [2, 2],
    ])
  })

  test('tell when they were observed by the clock of the server, also those from before it was known', async () => {
    outbox.online = false
    const round = facts({ number: () => 7 })
    await round.refresh('demo')
    clock.sync('2001-01-01T00:00:10.000Z')
    outbox.online = true
    round.opened(0)
    const at = sent.map(({ observedAt }) => observedAt)
    expect(at).toEqual([expect.stringMatching(/^2001-01-01T00:00:(09|10)/)])
  })

  test('go on above what the server knows, and are sent again until it has them', async () => {
    const round = facts({ number: () => 7 })
    await round.refresh('demo')
    round.opened(40)
    round.acknowledged(1)
    round.opened(41)
    round.acknowledged(42)
    round.opened(42)
    expect(sent.map(({ revision }) => revision)).toEqual([1, 41, 42])
  })

  test('are all sent again to a server that lost them', async () => {
    const round = facts({ number: () => 7 })
    round.opened(0)
    await round.refresh('demo')
    round.acknowledged(1)
    round.opened(0)
    expect(sent.map(({ revision }) => revision)).toEqual([1, 2])
  })

  test('wait for a session', async () => {
    outbox.online = false
    const round = facts({ number: () => 7 })
    await round.refresh('demo')
    expect(sent).toEqual([])
    outbox.online = true
    round.opened(0)
    expect(sent).toMatchObject([{ plugin: 'demo', fact: 'number', value: 7 }])
  })

  test('that throw, hang, do not fit or are too large become errors and stop no other', async () => {
    const round = facts({
      throws: () => {
        throw new Error('no apt here')
      },
      hangs: () => new Promise(() => undefined),
      wrong: () => true,
      nothing: () => undefined,
      large: () => 'x'.repeat(600_000),
      undeclared: ({ run }) => run('ls'),
      fine: () => 1,
    })
    await round.refresh('demo')
    const errors = Object.fromEntries(sent.map(({ fact, error, value }) => [fact, error ?? value]))
    expect(errors).toEqual({
      throws: 'no apt here',
      hangs: 'The fact was not collected within 0.1 s.',
      wrong: expect.stringMatching(/does not fit its contract/),
      nothing: expect.stringMatching(/gave no value/),
      large: expect.stringMatching(/at most 524288/),
      undeclared: expect.stringMatching(/does not declare it/),
      fine: 1,
    })
  })

  test('keep their last value beside a later error', async () => {
    let broken = false
    const round = facts({
      number: () => {
        if (broken) throw new Error('gone')
        return 1
      },
    })
    await round.refresh('demo')
    broken = true
    await round.refresh('demo')
    expect(sent.map(({ value, error, observedAt }) => [value, error, observedAt])).toEqual([
      [1, undefined, sent[0]?.observedAt],
      [1, 'gone', sent[0]?.observedAt],
    ])
  })

  test('are collected at their own pace, unless a command of their plugin just ended', async () => {
    let collected = 0
    const slow = { everySeconds: 3600, collect: () => ++collected }
    const round = facts({ slow })
    await round.refresh('other')
    await round.refresh('other')
    expect(collected).toBe(1)
    await round.refresh('demo')
    expect(collected).toBe(2)
  })
})
