import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { WebSocket, WebSocketServer } from 'ws'

/** The bare parts of live output: pipe → ws → SQLite (synchronous=FULL, one insert a chunk) → ws, without checks. Sends its port. */
const dir = mkdtempSync(join(tmpdir(), 'ceiling-'))
const db = new Database(join(dir, 'lines.db'))
db.pragma('journal_mode = WAL')
db.pragma('synchronous = FULL')
db.exec('create table chunks (start integer primary key, text text not null)')
const insert = db.prepare('insert into chunks (start, text) values (?, ?)')
const insertAll = db.transaction((chunks: readonly [number, string][]) => {
  for (const chunk of chunks) insert.run(...chunk)
})

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
const viewers = new Set<WebSocket>()
let offset = 0
let waiting: [number, string][] = []
server.on('connection', (socket, request) => {
  if (request.url === '/view') return void viewers.add(socket)
  socket.on('message', (data) => {
    const { text } = JSON.parse(String(data)) as { text: string }
    if (waiting.length === 0) setImmediate(commit)
    waiting.push([offset, text])
    offset += Buffer.byteLength(text)
  })
})
function commit(): void {
  const chunks = waiting
  waiting = []
  insertAll(chunks)
  for (const [start, text] of chunks)
    for (const viewer of viewers)
      if (viewer.readyState === WebSocket.OPEN) viewer.send(JSON.stringify({ offset: start, text }))
}
server.on('listening', () => {
  const address = server.address()
  process.send?.({ type: 'ready', port: typeof address === 'object' ? address?.port : 0 })
})
process.on('disconnect', () => {
  db.close()
  rmSync(dir, { recursive: true, force: true })
  process.exit(0)
})
