import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'

/** One raw WebSocket, for a load that costs less than what it measures. */
export interface FrameSocket {
  readonly socket: Socket
  /** Texts the server sent before anything was asked; only short and whole frames are understood. */
  readonly greeting: readonly string[]
}

/** Opens a WebSocket and waits for so many frames of greeting. */
export async function openFrameSocket(
  url: string,
  headers: Readonly<Record<string, string>>,
  greetings: number,
): Promise<FrameSocket> {
  const upgrade = request(url, {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
      ...headers,
    },
  })
  upgrade.end()
  const refused = once(upgrade, 'response').then(([response]: IncomingMessage[]) => {
    throw new Error(`The upgrade was refused with ${response?.statusCode}.`)
  })
  const [, socket, head] = (await Promise.race([once(upgrade, 'upgrade'), refused])) as [
    IncomingMessage,
    Socket,
    Buffer,
  ]
  socket.setNoDelay(true)
  let rest = head
  const greeting: string[] = []
  for (;;) {
    for (let frame = readFrame(rest); frame; frame = readFrame(rest)) {
      greeting.push(frame.payload.toString('utf8'))
      rest = rest.subarray(frame.size)
    }
    if (greeting.length >= greetings) return { socket, greeting }
    const [more] = (await once(socket, 'data')) as [Buffer]
    rest = Buffer.concat([rest, more])
  }
}

/** A text as the bytes a client sends, masked. At most 65,535 bytes. */
export function clientFrame(text: string): Buffer {
  const payload = Buffer.from(text)
  const long = payload.length > 125
  const frame = Buffer.alloc((long ? 8 : 6) + payload.length)
  frame[0] = 0x81
  frame[1] = 0x80 | (long ? 126 : payload.length)
  if (long) frame.writeUInt16BE(payload.length, 2)
  const mask = long ? 4 : 2
  randomBytes(4).copy(frame, mask)
  for (let i = 0; i < payload.length; i++)
    frame[mask + 4 + i] = (payload[i] ?? 0) ^ (frame[mask + (i % 4)] ?? 0)
  return frame
}

/** Keeps `window` frames of each socket under way until all were answered, one for one; frames a second. */
export async function frameLoad(
  loads: readonly { readonly socket: Socket; readonly frames: readonly Buffer[] }[],
  window: number,
): Promise<number> {
  const began = performance.now()
  await Promise.all(loads.map(({ socket, frames }) => drive(socket, frames, window)))
  const total = loads.reduce((sum, { frames }) => sum + frames.length, 0)
  return (total * 1000) / (performance.now() - began)
}

function drive(socket: Socket, frames: readonly Buffer[], window: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = 0
    let answered = 0
    let rest = Buffer.alloc(0)
    const send = (): void => {
      const upTo = Math.min(frames.length, answered + window)
      if (sent < upTo) socket.write(Buffer.concat(frames.slice(sent, upTo)))
      sent = upTo
    }
    const finish = (error?: Error): void => {
      socket.off('data', take)
      socket.off('close', closed)
      if (error) reject(error)
      else resolve()
    }
    const closed = (): void => finish(new Error('A socket was closed under load.'))
    const take = (data: Buffer): void => {
      let left = rest.length === 0 ? data : Buffer.concat([rest, data])
      for (let size = frameSize(left); size > 0 && size <= left.length; size = frameSize(left)) {
        if (left[0] !== 0x81) {
          finish(new Error('The server sent something else than text.'))
          return
        }
        left = left.subarray(size)
        answered++
      }
      rest = Buffer.from(left)
      if (answered >= frames.length) finish()
      else send()
    }
    socket.on('data', take)
    socket.on('close', closed)
    send()
  })
}

function readFrame(bytes: Buffer): { payload: Buffer; size: number } | undefined {
  const size = frameSize(bytes)
  if (size === 0 || size > bytes.length) return undefined
  return { payload: bytes.subarray(size - payloadSize(bytes), size), size }
}

/** The whole size of the frame that starts here; 0 where that can't be told yet. */
function frameSize(bytes: Buffer): number {
  if (bytes.length < 2) return 0
  const long = (bytes[1] ?? 0) === 126
  if (long && bytes.length < 4) return 0
  return (long ? 4 : 2) + payloadSize(bytes)
}

function payloadSize(bytes: Buffer): number {
  const short = bytes[1] ?? 0
  return short === 126 ? bytes.readUInt16BE(2) : short
}
