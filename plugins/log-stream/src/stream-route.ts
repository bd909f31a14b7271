import type { ServerResponse } from 'node:http'
import type { CommandView } from '@fleetupdate/sdk'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { outputError } from './errors.ts'
import { readOffset } from './offset.ts'
import type { OutputPages } from './output-pages.ts'
import type { Piece } from './piece.ts'
import { type Viewer, watchOutput } from './watch-output.ts'
import type { WatchedCommands } from './watched-commands.ts'

export interface StreamOptions {
  readonly commands: WatchedCommands
  readonly pages: OutputPages
  /** Ends all streams when it aborts. */
  readonly signal: AbortSignal
  /** A comment is sent after so long without anything else. */
  readonly heartbeatMs: number
  /** A viewer that takes nothing for so long is cut; it can resume. */
  readonly stallMs: number
  readonly report: (error: unknown) => void
}

/**
 * `GET /api/commands/:id/stream`: server-sent events. `output` (data `{ offset, text }`, id = the offset after it), `state` (the
 * command) on each change, and always a last `end`. Resumes after `Last-Event-ID`, or from `?from=`.
 */
export function registerStream(root: FastifyInstance, options: StreamOptions): void {
  const { commands, pages } = options
  root.get<{ Params: { id: string } }>(
    '/api/commands/:id/stream',
    { config: { role: 'viewer' }, exposeHeadRoute: false },
    async (request, reply) => {
      const from = readOffset(request.headers['last-event-id'] ?? readQuery(request))
      const command = await commands.watch(request.params.id)
      if (!command) throw outputError('FLT_COMMAND_NOT_FOUND', { id: request.params.id.slice(0, 64) })
      const abort = new AbortController()
      const signal = AbortSignal.any([options.signal, abort.signal])
      try {
        const stream = openStream(reply, abort)
        const viewer = createViewer(stream, abort, options.stallMs)
        await watchOutput(command, viewer, { pages, from, signal, idleMs: options.heartbeatMs })
        stream.end()
      } catch (error) {
        // The store failed under an open stream: cut it, the viewer resumes where it was.
        options.report(error)
        reply.raw.destroy()
      } finally {
        commands.release(command)
      }
    },
  )
}

function readQuery(request: FastifyRequest): unknown {
  const { query } = request
  return typeof query === 'object' && query !== null && 'from' in query ? query.from : undefined
}

function openStream(reply: FastifyReply, abort: AbortController): ServerResponse {
  reply.hijack()
  const stream = reply.raw
  stream.on('close', () => abort.abort())
  stream.on('error', () => abort.abort())
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) stream.setHeader(name, value)
  stream.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  stream.write('retry: 1000\n\n')
  return stream
}

function createViewer(stream: ServerResponse, abort: AbortController, stallMs: number): Viewer {
  const send = async (data: string | Buffer): Promise<void> => {
    if (abort.signal.aborted || stream.write(data)) return
    if (await taken(stream, stallMs)) return
    abort.abort()
    stream.destroy()
  }
  return {
    async output(pieces) {
      for (const piece of pieces) {
        await send(encode(piece))
        if (abort.signal.aborted) return
      }
    },
    state: (view) => send(event('state', view)),
    idle: () => send(': still here\n\n'),
    ended: (view, end) => send(event('end', { state: view?.state, end } satisfies End)),
  }
}

interface End {
  readonly state: CommandView['state'] | undefined
  readonly end: number
}

/** False where the viewer took nothing for so long, or is gone. */
function taken(stream: ServerResponse, stallMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (ok: boolean) => (): void => {
      clearTimeout(timer)
      stream.off('drain', drained)
      stream.off('close', closed)
      resolve(ok)
    }
    const drained = finish(true)
    const closed = finish(false)
    const timer = setTimeout(closed, stallMs)
    stream.once('drain', drained)
    stream.once('close', closed)
    if (stream.destroyed) closed()
  })
}

/** A new piece goes to all who watch in the same form: encoded once. */
const encoded = new WeakMap<Piece, Buffer>()

function encode(piece: Piece): Buffer {
  const known = encoded.get(piece)
  if (known) return known
  const { offset, end, text } = piece
  const bytes = Buffer.from(`id: ${end}\n${event('output', { offset, text })}`)
  encoded.set(piece, bytes)
  return bytes
}

function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}
