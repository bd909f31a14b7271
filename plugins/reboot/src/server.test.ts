import type { PluginContext, PluginDatabase } from '@fleetupdate/sdk'
import Database from 'better-sqlite3'
import Fastify, { type FastifyInstance } from 'fastify'
import { Kysely, SqliteDialect } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type RebootState, reboot } from './contract.ts'
import plugin from './server.ts'

let sqlite: Database.Database
let app: FastifyInstance
let notices: { title: string; text?: string; level: string }[]
let report: (agentId: string, state: Partial<RebootState>) => Promise<void>

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
  sqlite = new Database(':memory:')
  app = Fastify()
  notices = []
  const query = new Kysely<Record<string, never>>({ dialect: new SqliteDialect({ database: sqlite }) })
  for (const migration of plugin.migrations) await migration.up(query)
  const db: PluginDatabase = {
    query,
    write: async (statements) =>
      sqlite.transaction(() =>
        statements.map(({ sql, parameters }) => ({
          changes: sqlite.prepare(sql).run(...parameters).changes,
          rows: [],
        })),
      )(),
  }
  const context = {
    db,
    http: app,
    notify: (notice: { title: string; level: string }) => notices.push(notice),
    onFacts: (handler: (update: unknown) => Promise<void>) => {
      report = (agentId, change) =>
        handler({ agentId, facts: { state: { ...state, ...change } }, observedAt: {} })
    },
  }
  await plugin.setup?.(context as unknown as PluginContext)
})
afterEach(async () => {
  await app.close()
  sqlite.close()
})

const boots = async (agentId: string): Promise<{ kernel: string }[]> =>
  (await app.inject(`/boots/${agentId}`)).json().items

describe('the server part of reboot', () => {
  test('says once that a host came back, and on which kernel', async () => {
    await report('vm-01', { required: true })
    await report('vm-01', {})
    expect(notices).toEqual([])
    const back = { bootId: 'b', bootedAt: '2026-11-02T00:00:00.000Z', runningKernel: '6.1.0-37-amd64' }
    await report('vm-01', back)
    await report('vm-01', back)
    expect(notices).toEqual([
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
    expect(notices).toMatchObject([
      { level: 'warning', text: expect.stringContaining('still needs a reboot') },
    ])
  })

  test('keeps the last 20 boots of each host', async () => {
    await report('vm-02', {})
    for (let i = 1; i <= 25; i++)
      await report('vm-01', { bootId: `b${i}`, bootedAt: new Date(Date.UTC(2026, 0, i)).toISOString() })
    expect(await boots('vm-01')).toHaveLength(20)
    expect(sqlite.prepare('select count(*) as n from boots').get()).toEqual({ n: 21 })
  })

  test('tells "not known" apart from "not needed"', () => {
    const { required, scheduled } = reboot.facets
    expect([required?.({}), scheduled?.({})]).toEqual([undefined, undefined])
    expect([required?.({ state }), scheduled?.({ state })]).toEqual([false, false])
    expect(scheduled?.({ state: { ...state, scheduledAt: state.bootedAt } })).toBe(true)
  })
})
