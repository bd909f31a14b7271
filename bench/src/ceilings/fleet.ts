import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import Fastify from 'fastify'
import { type WebSocket, WebSocketServer } from 'ws'

/**
 * The bare parts of what people wait for: Fastify, SQLite with synchronous=FULL and ws, without checks, signatures, plugins or schemas. Pages
 * of ready JSON, a click that is stored, carried to an agent, and whose answer is stored and shown. Sends its port.
 */
const dir = mkdtempSync(join(tmpdir(), 'ceiling-'))
const db = new Database(join(dir, 'fleet.db'))
db.pragma('journal_mode = WAL')
db.pragma('synchronous = FULL')
db.exec(`create table agents (id text primary key, pending integer not null, view text not null);
create index by_pending on agents (pending, id) where pending > 0;
create table commands (id integer primary key, input text not null);
create table output (id integer primary key, text text not null)`)
const insertAgent = db.prepare('insert or replace into agents (id, pending, view) values (?, ?, ?)')
const insertCommand = db.prepare('insert into commands (input) values (?)')
const insertOutput = db.prepare('insert into output (text) values (?)')
const page = db.prepare(
  'select view from agents where pending > 0 and (pending, id) < (?, ?) order by pending desc, id desc limit 100',
)
const insertAll = db.transaction((count: number) => {
  for (let i = 0; i < count; i++) insertCommand.run('{"count":1}')
})

const app = Fastify({ logger: false })
const server = new WebSocketServer({ noServer: true, perMessageDeflate: false })
const agents = new Set<WebSocket>()
const viewers = new Set<WebSocket>()
app.server.on('upgrade', (request, socket, head) => {
  server.handleUpgrade(request, socket, head, (ws) => {
    const room = request.url === '/view' ? viewers : agents
    room.add(ws)
    ws.on('close', () => room.delete(ws))
    ws.on('message', (data) => {
      insertOutput.run(String(data))
      for (const viewer of viewers) viewer.send(String(data))
    })
  })
})
app.get('/metrics', async () => ({ agentsTotal: 1, agentsOnline: 1, uptimeSeconds: 1, appDrift: null }))
app.get('/page', async (_request, reply) => {
  const rows = page.all(7, '~') as { view: string }[]
  return reply.type('application/json').send(`{"items":[${rows.map(({ view }) => view).join(',')}]}`)
})
app.post('/click', async (_request, reply) => {
  insertCommand.run('{"count":1}')
  for (const agent of agents) agent.send('{"type":"offer"}')
  return reply.code(202).send({ id: 1 })
})
app.post<{ Body: { count: number; view: string } }>('/fill', async ({ body: { count, view } }) => {
  db.transaction(() => {
    for (let i = 0; i < count; i++) insertAgent.run(`sim-${i}`, i % 7, view)
  })()
  return {}
})
app.post<{ Body: { count: number } }>('/batch', async ({ body }) => {
  insertAll(body.count)
  for (const agent of agents) agent.send('{"type":"offer"}')
  return {}
})
await app.listen({ host: '127.0.0.1', port: 0, backlog: 4096 })
const address = app.server.address()
process.send?.({ type: 'ready', port: typeof address === 'object' ? address?.port : 0 })
process.on('disconnect', () => {
  db.close()
  rmSync(dir, { recursive: true, force: true })
  process.exit(0)
})
