import { defineContract, Type } from '@fleetupdate/sdk'
import type { FactItem } from '@fleetupdate/sdk/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { compileContract } from '../plugins/compile-contract.ts'
import { startTestFleet, type TestFleet } from './testing/test-fleet.ts'
import type { WireAgent } from './testing/wire-agent.ts'

let fleet: TestFleet
let agent: WireAgent
beforeEach(async () => {
  fleet = await startTestFleet()
  agent = await fleet.agent('web-1')
  await agent.join()
})
afterEach(() => fleet.dispose())

const observedAt = '2026-01-02T03:04:05.000Z'
async function tell(...items: Omit<FactItem, 'observedAt' | 'plugin'>[]): Promise<void> {
  const full = items.map((item): FactItem => ({ plugin: 'wire', observedAt, ...item }))
  const acked = agent.next('ack', (ack) => ack.facts === Math.max(...items.map(({ revision }) => revision)))
  agent.send({ type: 'facts', items: full })
  await acked
}
const read = async () => (await fleet.call('GET', '/api/agents/web-1')).body

describe('facts', () => {
  test('are stored with their age, and facets follow from them', async () => {
    const told = fleet.event('facts.updated', ({ plugin }) => plugin === 'wire')
    await tell({ fact: 'pending', value: { count: 3, extra: 'dropped' }, revision: 5 })
    expect(await told).toEqual({ agentId: 'web-1', plugin: 'wire' })
    const { facts, factsMeta, facets } = await read()
    expect(facts.wire.pending).toEqual({ count: 3 })
    expect(factsMeta.wire.pending).toEqual({ observedAt, revision: 5 })
    expect(facets).toMatchObject({ 'wire.outdated': true, 'wire.pending': 3, 'wire.name': null })
    fleet = await fleet.restart()
    expect((await read()).facets).toMatchObject({ 'wire.outdated': true, 'wire.pending': 3 })
    expect((await fleet.call('GET', '/api/agents?filter=outdated')).body.counts).toMatchObject({
      outdated: 1,
      'wire.outdated': 1,
    })
  })

  test('of a lower revision are dropped', async () => {
    await tell({ fact: 'name', value: 'new', revision: 9 })
    await tell({ fact: 'name', value: 'old', revision: 8 })
    expect((await read()).facts.wire.name).toBe('new')
    agent.terminate()
    expect((await agent.connect()).factRevision).toBeGreaterThanOrEqual(9)
  })

  test('that do not fit their contract are an error on that fact, and the last good value stays with its age', async () => {
    await tell(
      { fact: 'name', value: 'good', revision: 1 },
      { fact: 'pending', value: { count: 1 }, revision: 2 },
    )
    await tell({ fact: 'name', value: 7, revision: 3 }, { fact: 'pending', error: 'apt failed', revision: 4 })
    const { facts, factsMeta } = await read()
    expect(facts.wire).toMatchObject({ name: 'good', pending: { count: 1 } })
    expect(factsMeta.wire.name.error).toContain('does not fit the contract')
    expect(factsMeta.wire.pending).toEqual({ observedAt, revision: 4, error: 'apt failed' })
  })

  test('reach their plugin before they are acknowledged', async () => {
    const seen: unknown[] = []
    const end = fleet.fleet.facts.onStored('wire', async (update) => {
      seen.push(await fleet.fleet.registry.readFacts('web-1', 'wire'), update.facts, update.observedAt)
    })
    await tell({ fact: 'name', value: 'a', revision: 1 })
    expect(seen).toEqual([{ name: 'a', settled: 1 }, { name: 'a' }, { name: observedAt }])
    end()
    await tell({ fact: 'name', value: 'b', revision: 2 })
    expect(seen).toHaveLength(3)
  })

  test('are acknowledged also where a plugin throws over them', async () => {
    fleet.fleet.facts.onStored('wire', () => {
      throw new Error('no')
    })
    await tell({ fact: 'name', value: 'a', revision: 1 })
    expect(fleet.logged.join()).toContain('could not handle new facts')
  })

  test('keep nothing else of their agent waiting while a plugin takes its time with them', async () => {
    let release = (): void => undefined
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    const reached = new Promise<void>((resolve) =>
      fleet.fleet.facts.onStored('wire', () => {
        resolve()
        return released
      }),
    )
    let told = false
    const acked = tell({ fact: 'name', value: 'a', revision: 1 }).then(() => {
      told = true
    })
    await reached
    const executor = { id: 'wire', version: '7.0.0', contractHash: 'a'.repeat(64), health: 'ok' as const }
    agent.send({ type: 'executors', executors: [executor] })
    await expect.poll(async () => (await read()).executors).toMatchObject([{ id: 'wire', version: '7.0.0' }])
    expect(told).toBe(false)
    release()
    await acked
  })

  test('of a plugin that becomes active later are checked then', async () => {
    const late = defineContract('late', {
      facts: { good: Type.Integer(), bad: Type.Integer() },
      facets: { good: (facts) => facts.good },
    })
    const items = [
      { plugin: 'late', fact: 'good', value: 4, observedAt, revision: 1 },
      { plugin: 'late', fact: 'bad', value: 'four', observedAt, revision: 2 },
    ]
    agent.send({ type: 'facts', items })
    await agent.settle()
    expect((await read()).facts.late).toBeUndefined()
    fleet.contracts.add(compileContract(late))
    await expect.poll(async () => (await read()).facets['late.good']).toBe(4)
    const { facts, factsMeta } = await read()
    expect(facts.late).toEqual({ good: 4 })
    expect(factsMeta.late.bad.error).toContain('does not fit the contract')
  })
})

describe('an agent of another protocol', () => {
  test('is listed and online while a plugin speaks for it, and its id stays taken', async () => {
    const session = await fleet.fleet.attachExternal('printer')
    await session.facts([{ fact: 'wire.name', value: 'laser', observedAt, revision: 1 }])
    expect((await fleet.call('GET', '/api/agents/printer')).body).toMatchObject({
      status: 'online',
      facts: { wire: { name: 'laser' } },
    })
    expect((await fleet.call('POST', '/api/agents/printer/wire/free', {})).body.state).toBe('queued')
    session.close()
    expect((await fleet.call('GET', '/api/agents/printer')).body.status).toBe('offline')
    await expect(fleet.fleet.attachExternal('web-1')).rejects.toMatchObject({ code: 'FLT_ENROL_ID_TAKEN' })
  })
})
