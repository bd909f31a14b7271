import Database from 'better-sqlite3'
import Fastify from 'fastify'
import { WebSocketServer } from 'ws'

/** The bare parts of a start: Node loads Fastify, ws and SQLite, opens a database and listens. */
const db = new Database(process.env.CEILING_DATABASE ?? ':memory:')
db.pragma('journal_mode = WAL')
db.exec('create table if not exists agents (id text primary key)')
const app = Fastify({ logger: false })
new WebSocketServer({ noServer: true })
app.get('/api/health', async () => ({ status: 'ok' }))
await app.listen({ host: '127.0.0.1', port: 0 })
const address = app.server.address()
process.send?.({ type: 'ready', port: typeof address === 'object' ? address?.port : 0 })
const stop = (): never => process.exit(0)
process.on('disconnect', stop)
process.on('SIGTERM', stop)
