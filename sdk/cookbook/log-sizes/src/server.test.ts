import type { AgentView } from '@fleetupdate/sdk'
import { startServerPart, type TestServerPart } from '@fleetupdate/sdk/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { logSizes } from './contract.ts'
import plugin from './server.ts'

let part: TestServerPart<typeof logSizes>

beforeEach(async () => {
  part = await startServerPart(plugin, {
    agents: {
      get: async (id) => (id === 'vm-01' ? ({ id } as AgentView) : undefined),
      list: async () => ({ items: [], nextCursor: null, counts: {} }),
    },
  })
})
afterEach(() => part.stop())

const get = (agentId: string, query = '') =>
  part.http.inject(`/api/plugins/log-sizes/agents/${agentId}/sizes${query}`)
const report = (bytes: number, observedAt: string) =>
  part.report('vm-01', { total: { bytes, complete: true } }, { total: observedAt })

test('keeps what was reported, the newest last, for 90 days', async () => {
  await report(1, '2026-01-01T00:00:00.000Z')
  await report(2, '2026-03-01T00:00:00.000Z')
  await report(3, '2026-04-02T00:00:00.000Z')
  const bytesOf = async (query = '') =>
    (await get('vm-01', query)).json().items.map(({ bytes }: { bytes: number }) => bytes)
  expect(await bytesOf()).toEqual([2, 3])
  expect(await bytesOf('?limit=1')).toEqual([3])
})

test('forgets what it is told to, of that agent alone', async () => {
  await report(1, '2026-01-01T00:00:00.000Z')
  await part.report('vm-02', { total: { bytes: 5, complete: true } })
  const forget = (id: string) =>
    part.http.inject({ method: 'DELETE', url: `/api/plugins/log-sizes/agents/${id}/sizes` })
  expect((await forget('vm-99')).statusCode).toBe(404)
  expect((await forget('vm-01')).statusCode).toBe(204)
  expect((await get('vm-01')).json()).toEqual({ items: [] })
  expect(await part.db.query.selectFrom('sizes').select('bytes').execute()).toEqual([{ bytes: 5 }])
})

test.each(['?limit=0', '?limit=1e3', '?limit=-1'])('%s is refused', async (query) => {
  expect((await get('vm-01', query)).statusCode).toBe(400)
})

test('says that there is no such agent', async () => {
  const answer = await get('vm-99')
  expect([answer.statusCode, answer.json().code]).toEqual([404, 'FLT_LOG_SIZES_AGENT'])
})
