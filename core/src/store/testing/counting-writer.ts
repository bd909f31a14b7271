// A child process for tests: writes numbered rows as fast as it can and prints each number after it was acknowledged.
// Arguments: data folder, start of the worker's thread.
import { createStore } from '../create-store.ts'

const [dir = '', workerFile = ''] = process.argv.slice(2)
// A file-size limit then fails the write (EFBIG) instead of killing the process.
process.on('SIGXFSZ', () => {})
let isFatal = false
const store = await createStore({
  dir,
  workerFile: new URL(workerFile),
  migrations: [
    {
      name: '0001-numbers',
      up: (db) =>
        db.schema
          .createTable('numbers')
          .addColumn('n', 'integer', (c) => c.primaryKey())
          .execute(),
    },
  ],
  onFatal(error) {
    isFatal = true
    process.stdout.write(`fatal ${error.code}\n`)
  },
})
let next = 1
async function writeOn(): Promise<void> {
  while (!isFatal) {
    const n = next++
    await store.write([{ sql: 'insert into numbers values (?)', parameters: [n], expectedRows: 1 }])
    process.stdout.write(`${n}\n`)
  }
}
const ends = await Promise.allSettled(Array.from({ length: 32 }, writeOn))
const codes = ends.map((end) => (end.status === 'rejected' ? end.reason.code : 'ended'))
process.stdout.write(`all ${[...new Set(codes)].join(' ')}\n`)
await store.close()
