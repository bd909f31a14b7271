import { startServerPart, type TestServerPart } from '@fleetupdate/sdk/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type RebootState, reboot } from './contract.ts'
import plugin from './server.ts'

let part: TestServerPart<typeof reboot>

const state: RebootState = {
  required: false,
  reasons: [],
  runningKernel: '6.1.0-35-amd64',
  installedKernel: '6.1.0-35-amd64',
  bootId: 'a',
  bootedAt: '2026-11-01T00:00:00.000Z',
  scheduledAt: null,
}

beforeEach(async () => {
  part = await startServerPart(plugin)
})
afterEach(() => part.stop())

const report = (agentId: string, change: Partial<RebootState>): Promise<void> =>
  part.report(agentId, { state: { ...state, ...change } })
const boots = async (agentId: string): Promise<{ kernel: string }[]> =>
  (await part.http.inject(`/api/plugins/reboot/boots/${agentId}`)).json().items

describe('the server part of reboot', () => {
  test('says once that a host came back, and on which kernel', async () => {
    await report('vm-01', { required: true })
    await report('vm-01', {})
    expect(part.notices).toEqual([])
    const back = { bootId: 'b', bootedAt: '2026-11-02T00:00:00.000Z', runningKernel: '6.1.0-37-amd64' }
    await report('vm-01', back)
    await report('vm-01', back)
    expect(part.notices).toEqual([
      {
        level: 'info',
        title: 'vm-01 came back',
        text: 'Started 2026-11-02T00:00:00.000Z on kernel 6.1.0-37-amd64 (before: 6.1.0-35-amd64).',
        agentId: 'vm-01',
      },
    ])
    expect((await boots('vm-01')).map(({ kernel }) => kernel)).toEqual(['6.1.0-37-amd64', '6.1.0-35-amd64'])
    expect(await boots('vm-02')).toEqual([])
  })

  test('warns where the reboot did not help', async () => {
    await report('vm-01', { required: true })
    await report('vm-01', { bootId: 'b', bootedAt: '2026-11-02T00:00:00.000Z', required: true })
    expect(part.notices).toMatchObject([
      { level: 'warning', text: expect.stringContaining('still needs a reboot') },
    ])
  })

  test('keeps the last 20 boots of each host', async () => {
    await report('vm-02', {})
    for (let i = 1; i <= 25; i++)
      await report('vm-01', { bootId: `b${i}`, bootedAt: new Date(Date.UTC(2026, 0, i)).toISOString() })
    expect(await boots('vm-01')).toHaveLength(20)
    expect(await part.db.query.selectFrom('boots').selectAll().execute()).toHaveLength(21)
  })

  test('tells "not known" apart from "not needed"', () => {
    const { required, scheduled } = reboot.facets
    expect([required?.({}), scheduled?.({})]).toEqual([undefined, undefined])
    expect([required?.({ state }), scheduled?.({ state })]).toEqual([false, false])
    expect(scheduled?.({ state: { ...state, scheduledAt: state.bootedAt } })).toBe(true)
  })
})
