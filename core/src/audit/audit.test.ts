import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import Fastify from 'fastify'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { registerErrorHandler } from '../http/error-handler.ts'
import { mountRoutes } from '../http/mount-routes.ts'
import { openTestStore, type TestStore } from '../store/testing/test-store.ts'
import { type Audit, createAudit } from './create-audit.ts'
import type { AuditEntry } from './entry.ts'
import { auditMigrations } from './migrations.ts'
import { auditRoutes } from './routes.ts'
import { auditStateRoutes } from './state-routes.ts'
import { verifyAudit } from './verify.ts'

const masterKey = Buffer.alloc(32, 3)
const entry: AuditEntry = {
  actor: { type: 'user', id: 'ada' },
  action: 'agent.removed',
  target: 'vm-01',
  address: '192.0.2.1',
  details: { why: 'a test' },
}
const logged: string[] = []
const note = (message: string): void => void logged.push(message)
const log = { debug: note, info: note, warn: note, error: note }

let stores: TestStore
let audit: Audit
let checkpoints: string
let nowMs: number

beforeEach(async () => {
  logged.length = 0
  nowMs = Date.now()
  stores = await openTestStore({ migrations: [auditMigrations] })
  checkpoints = join(stores.dir, 'audit-checkpoints.jsonl')
  audit = await start()
})
afterEach(async () => {
  await audit.dispose()
  await stores.dispose()
})

const start = (): Promise<Audit> =>
  createAudit({ store: stores.store, masterKey, checkpoints, log, now: () => nowMs })
const verify = () => verifyAudit({ read: stores.store.read, masterKey, checkpoints })
const add = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await stores.store.write([audit.row({ ...entry, target: `vm-${i}` })])
}
/** As somebody who can write to the database, but does not have the master key. */
const tamper = (sql: string): void => {
  const db = new Database(join(stores.dir, 'core.db'))
  db.function('sha256_hex', () => '')
  db.exec(sql)
  db.close()
}
const restart = async (): Promise<void> => {
  await audit.dispose()
  audit = await start()
}

describe('the chain', () => {
  test('is sound after 500 rows written at once, some of whose batches failed', async () => {
    const impossible = {
      sql: "update audit_log set target = '' where chain = ?",
      parameters: ['none'],
      expectedRows: 1,
    }
    const writes = Array.from({ length: 500 }, (_, i) =>
      stores.store.write(i % 5 === 0 ? [audit.row(entry), impossible] : [audit.row(entry)]),
    )
    const results = await Promise.allSettled(writes)
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(100)
    await restart()
    expect(await verify()).toEqual({ rows: 400, checkpoints: 1, unsigned: 0, problems: [] })
  })

  test('goes on after a restart', async () => {
    await add(3)
    await restart()
    await add(3)
    await restart()
    expect(await verify()).toMatchObject({ rows: 6, checkpoints: 2, problems: [] })
    expect(logged).toEqual([])
  })

  test('leaves no row of a change that did not happen', async () => {
    const failing = { sql: 'delete from audit_log where chain = ?', parameters: ['x'], expectedRows: 1 }
    await expect(stores.store.write([audit.row(entry), failing])).rejects.toThrow()
    expect((await verify()).rows).toBe(0)
  })
})

describe('verification finds', () => {
  test.each([
    ['an edited actor', `update audit_log set actorId = 'eve' where seq = 4`],
    ['an edited time', 'update audit_log set at = at + 1 where seq = 4'],
    ['an edited detail', `update audit_log set details = '{}' where seq = 4`],
    ['a refusal that became a deed', `update audit_log set outcome = 'refused' where seq = 4`],
    ['a row taken out of the middle', 'delete from audit_log where seq = 4'],
    ['the first row taken away', 'delete from audit_log where seq = 1'],
    ['a tail that was cut off', 'delete from audit_log where seq > 6'],
    ['all rows taken away', 'delete from audit_log'],
    [
      'two rows that changed places',
      'update audit_log set seq = 99 where seq = 4; update audit_log set seq = 4 where seq = 5; update audit_log set seq = 5 where seq = 99',
    ],
    [
      'a row that was copied to the end',
      `insert into audit_log select chain, 11, at, actorType, actorId, action, target, outcome, address, details, mac, hash from audit_log where seq = 10`,
    ],
  ])('%s', async (_, sql) => {
    await add(10)
    await restart()
    tamper(sql)
    expect((await verify()).problems).not.toEqual([])
  })

  test('a row whose hashes were made anew by somebody without the master key', async () => {
    await add(10)
    const { digestOf, hashOf } = await import('./entry.ts')
    const rows = await stores.store.read.selectFrom('audit_log').selectAll().orderBy('seq').execute()
    let previous = ''
    const updates = rows.map((row) => {
      const changed = row.seq === 4 ? { ...row, actorId: 'eve' } : row
      previous = hashOf(previous, row.seq, digestOf(changed), row.mac)
      return `update audit_log set actorId = '${changed.actorId}', hash = '${previous}' where seq = ${row.seq};`
    })
    tamper(updates.join('\n'))
    expect((await verify()).problems.join()).toContain('Row 4 of chain "server" was changed')
  })

  test('a cut that the server wrote over since, and the log says so at its start', async () => {
    await add(10)
    await audit.dispose()
    tamper('delete from audit_log where seq > 6')
    audit = await start()
    expect(logged.join()).toContain('Run: audit verify')
    await add(8)
    await restart()
    expect((await verify()).problems).not.toEqual([])
  })

  test('a checkpoint that somebody else signed, and one that was removed', async () => {
    await add(2)
    await restart()
    const text = await readFile(checkpoints, 'utf8')
    await appendFile(checkpoints, text.replace('"seq":2', '"seq":3'))
    expect((await verify()).problems.join()).toContain('signature')
    await writeFile(checkpoints, '')
    expect((await verify()).problems.join()).toContain('no checkpoint')
  })

  test('nothing where a power cut tore the last line of the checkpoints', async () => {
    await add(2)
    await restart()
    await appendFile(checkpoints, '{"chain":"server","se')
    expect((await verify()).problems).toEqual([])
    await add(1)
    await restart()
    expect(await verify()).toMatchObject({ checkpoints: 2, problems: [] })
  })
})

describe('refusals', () => {
  const refusal: AuditEntry = { actor: { type: 'nobody', id: '' }, action: 'login.refused' }

  test('of a flood become 25 rows and one that counts the others', async () => {
    for (let i = 0; i < 10_000; i++) audit.refused(refusal)
    audit.refused({ ...refusal, action: 'request.refused' })
    await audit.dispose()
    const rows = await stores.store.read.selectFrom('audit_log').selectAll().orderBy('seq').execute()
    expect(rows.filter(({ action }) => action === 'login.refused')).toHaveLength(25)
    expect(rows.filter(({ action }) => action === 'request.refused')).toHaveLength(1)
    expect(rows.find(({ action }) => action === 'refusals.counted')?.details).toBe('{"login.refused":9975}')
    audit = await start()
  })

  test('are rows again ten minutes later', async () => {
    for (let i = 0; i < 30; i++) audit.refused(refusal)
    nowMs += 11 * 60_000
    audit.refused(refusal)
    await audit.dispose()
    const rows = await stores.store.read.selectFrom('audit_log').selectAll().execute()
    expect(rows.filter(({ action }) => action === 'login.refused')).toHaveLength(26)
    audit = await start()
  })
})

describe('the API', () => {
  test('lists newest first by pages, filters, and exports all rows as JSON lines', async () => {
    await add(7)
    const app = Fastify()
    registerErrorHandler(app, (error) => note(String(error)))
    mountRoutes(app, auditRoutes(stores.store), async ({ headers }) => ({
      ...{ name: 'ada', userId: 'u', sessionId: 's' },
      role: headers['x-role'] === 'operator' ? 'operator' : 'admin',
    }))
    const get = async (url: string) => (await app.inject({ url })).json()
    const seen: number[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = await get(`/api/audit?limit=3${cursor && `&cursor=${cursor}`}`)
      for (const { seq } of page.items) seen.push(seq)
      cursor = page.nextCursor
    }
    expect(seen).toEqual([7, 6, 5, 4, 3, 2, 1])
    expect((await get('/api/audit?target=vm-3')).items).toMatchObject([
      { seq: 4, actor: { type: 'user', id: 'ada' }, details: { why: 'a test' }, outcome: 'done' },
    ])
    const { at } = (await get('/api/audit?limit=1')).items[0]
    expect((await get(`/api/audit?from=${at}`)).items.length).toBeGreaterThan(0)
    expect((await get(`/api/audit?to=${at}`)).items).not.toContainEqual(expect.objectContaining({ at }))
    expect((await app.inject({ url: '/api/audit?from=yesterday' })).statusCode).toBe(400)
    const file = (await app.inject({ url: '/api/audit/export' })).body.trimEnd().split('\n')
    expect(file.map((line) => JSON.parse(line).seq)).toEqual([1, 2, 3, 4, 5, 6, 7])
    const refused = await app.inject({ url: '/api/audit', headers: { 'x-role': 'operator' } })
    expect(refused.statusCode).toBe(403)
    await app.close()
  })

  test('tells how far the chain is signed, and verifies it', async () => {
    await add(3)
    const app = Fastify()
    registerErrorHandler(app, (error) => note(String(error)))
    const routes = auditStateRoutes({ store: stores.store, audit, masterKey, checkpoints })
    mountRoutes(app, routes, async () => ({ name: 'ada', userId: 'u', sessionId: 's', role: 'admin' }))
    await restart()
    const state = (await app.inject({ url: '/api/audit/state' })).json()
    expect(state).toMatchObject({ rows: 3, signed: { seq: 3 } })
    const report = (await app.inject({ method: 'POST', url: '/api/audit/verify' })).json()
    expect(report).toMatchObject({ rows: 3, unsigned: 0, problems: [] })
    await app.close()
  })
})

describe('who follows the audit', () => {
  const followed = () => {
    const told = { times: 0 }
    return Object.assign(told, { end: audit.follow(() => (told.times += 1)) })
  }
  const until = (what: () => boolean) => vi.waitUntil(what, { timeout: 8000, interval: 20 })

  test('is told of each row soon, and of none any more when it stops', async () => {
    const one = followed()
    const other = followed()
    await until(() => one.times === 1 && other.times === 1)
    await add(3)
    await until(() => one.times === 2 && other.times === 2)
    one.end()
    await add(1)
    await until(() => other.times === 3)
    expect(one.times).toBe(2)
    other.end()
  })

  test('is told once the batch of the row is there, not before, and not of one that fails', async () => {
    const one = followed()
    await until(() => one.times === 1)
    const impossible = {
      sql: 'update audit_log set target = target where 0',
      parameters: [],
      expectedRows: 1,
    }
    await expect(stores.store.write([audit.row(entry), impossible])).rejects.toThrow()
    const late = audit.row({ ...entry, target: 'late' })
    let seen: readonly unknown[] = []
    const end = audit.follow(() => {
      void stores.store.read
        .selectFrom('audit_log')
        .select('target')
        .execute()
        .then((rows) => {
          seen = rows
        })
    })
    await stores.store.write([late])
    await until(() => seen.length === 1)
    expect(one.times).toBe(2)
    one.end()
    end()
  })

  test('is told of rows of another writer within five seconds', async () => {
    const one = followed()
    await until(() => one.times === 1)
    const other = await createAudit({
      store: stores.store,
      masterKey,
      checkpoints: undefined,
      log,
      chain: 'two',
    })
    await other.note(entry)
    await until(() => one.times === 2)
    one.end()
    await other.dispose()
  })
})
