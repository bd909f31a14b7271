import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { createCheck, parseJson } from './check.ts'
import { syncFolder } from './durable-file.ts'
import { errorCode } from './errors.ts'
import { StoredTicket } from './schemas.ts'

/** The session ticket of this machine: the server notices by it where a second machine uses the same identity. */
export interface TicketFile {
  /** The last one stored for the key's identity; '' where there is none. */
  readonly ticket: string
  /** On stable storage when it resolves. */
  store(ticket: string): Promise<void>
}

const slotBytes = 512
const check = createCheck(StoredTicket)

/**
 * Two slots of fixed length, written in turn: a crash while one is written leaves the other, and a disk that is full still takes a ticket, so that a
 * full machine does not vanish from its server.
 */
export async function openTicketFile(stateDir: string): Promise<TicketFile> {
  const path = join(stateDir, 'session-ticket')
  const slots = await readSlots(path)
  let newest = slots.reduce((a, b) => (b.turn > a.turn ? b : a))
  let work: Promise<unknown> = Promise.resolve()

  const write = async (next: StoredTicket): Promise<void> => {
    const file = await open(path, 'r+').catch((error) => {
      if (errorCode(error) !== 'ENOENT') throw error
      return open(path, 'wx+', 0o600)
    })
    try {
      const text = JSON.stringify(next).padEnd(slotBytes - 1)
      await file.write(`${text}\n`, (next.turn % 2) * slotBytes)
      await file.sync()
    } finally {
      await file.close()
    }
    if (next.turn <= 2) await syncFolder(stateDir)
    newest = next
  }
  return {
    get ticket() {
      return newest.ticket
    },
    store(ticket) {
      const stored = work.then(() =>
        ticket === newest.ticket ? undefined : write({ turn: newest.turn + 1, ticket }),
      )
      work = stored.catch(() => undefined)
      return stored
    },
  }
}

async function readSlots(path: string): Promise<readonly StoredTicket[]> {
  const none: StoredTicket = { turn: 0, ticket: '' }
  const file = await open(path, 'r').catch((error) => {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  })
  if (!file) return [none]
  try {
    const bytes = Buffer.alloc(2 * slotBytes)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    const text = bytes.toString('utf8', 0, bytesRead)
    const slots = [text.slice(0, slotBytes), text.slice(slotBytes)].map(parseJson)
    return [none, ...slots.filter((slot) => check.accepts(slot))]
  } finally {
    await file.close()
  }
}
