import { afterEach, describe, expect, test } from 'vitest'
import { defineContract } from '../contract/contract.ts'
import { definePlugin, type PluginContext } from '../contract/plugin.ts'
import { importBeside } from './import-beside.ts'
import { startServerPart, type TestServerPart } from './start-server-part.ts'

const contract = defineContract('demo', {})
let part: TestServerPart | undefined
afterEach(() => part?.stop())

const start = async (setup: (context: PluginContext) => void): Promise<TestServerPart> => {
  part = await startServerPart(
    definePlugin(contract, {
      migrations: [
        {
          name: '0001-words',
          up: (db) => db.schema.createTable('words').addColumn('word', 'text').execute(),
        },
      ],
      setup,
    }),
  )
  return part
}

describe('a server part under test', () => {
  test('has its routes where the server has them, and needs a role for each', async () => {
    const { http } = await start((context) => {
      context.http.get('/a', { config: { role: 'viewer' } }, async () => ({ here: true }))
      context.http.root.get('/b', { config: { role: 'public' } }, async () => ({ here: true }))
    })
    for (const url of ['/api/plugins/demo/a', '/b'])
      expect((await http.inject(url)).json()).toEqual({ here: true })
    await expect(start((context) => void context.http.get('/c', async () => ({})))).rejects.toThrow(
      'has no role',
    )
  })

  test('writes all or nothing, and can meet a full disk', async () => {
    const { db } = await start(() => undefined)
    const insert = { sql: 'insert into words values (?)', parameters: ['a'] }
    const none = { sql: 'delete from words where word = ?', parameters: ['z'], expectedRows: 1 }
    await expect(db.write([insert, none])).rejects.toMatchObject({ code: 'FLT_STORE_CONFLICT' })
    db.failNext()
    await expect(db.write([insert])).rejects.toThrow('the disk is full')
    expect(await db.query.selectFrom('words').selectAll().execute()).toEqual([])
    const returning = { sql: 'insert into words values (?) returning word', parameters: ['a'] }
    expect(await db.write([returning])).toEqual([{ changes: 1, rows: [{ word: 'a' }] }])
  })

  test('hears of events and of its end, and is run when it is time', async () => {
    const heard: string[] = []
    const running = await start(({ events, schedule, signal, notify, settings }) => {
      events.on('agent.removed', ({ agentId }) => heard.push(`${agentId} is gone`))
      schedule.every(1000, () => settings.set('runs', heard.push('ran')))
      signal.addEventListener('abort', () => heard.push('stopped'))
      notify({ level: 'info', title: 'Hello' })
    })
    running.emit('agent.removed', { agentId: 'vm-01' })
    await running.runScheduled()
    running.dispose()
    expect(heard).toEqual(['vm-01 is gone', 'ran', 'stopped'])
    expect(await running.context.settings.get('runs')).toBe(2)
    expect(running.notices).toEqual([{ level: 'info', title: 'Hello' }])
    expect(() => running.output()).toThrow('provides no output store')
  })

  test('says which package is missing', async () => {
    const missing = () => import('no-such-package' as string)
    await expect(importBeside('better-sqlite3', missing)).rejects.toThrow(
      'npm install --save-dev better-sqlite3',
    )
  })
})
