import { Readable } from 'node:stream'
import type { CommandView } from '@fleetupdate/sdk'
import type { FastifyInstance } from 'fastify'
import { outputError } from './errors.ts'
import { readOffset } from './offset.ts'
import type { OutputPages } from './output-pages.ts'

export interface OutputOptions {
  readonly pages: OutputPages
  readonly readCommand: (commandId: string) => Promise<CommandView | undefined>
}

/**
 * `GET /api/commands/:id/output?from=`: what is stored now, as plain text, page by page as the reader takes it. `?download=1`
 * makes browsers save it.
 */
export function registerOutput(root: FastifyInstance, { pages, readCommand }: OutputOptions): void {
  root.get<{ Params: { id: string }; Querystring: { from?: unknown; download?: unknown } }>(
    '/api/commands/:id/output',
    { config: { role: 'viewer' }, exposeHeadRoute: false },
    async (request, reply) => {
      const from = readOffset(request.query.from)
      const command = await readCommand(request.params.id)
      if (!command) throw outputError('FLT_COMMAND_NOT_FOUND', { id: request.params.id.slice(0, 64) })
      const end = await pages.end(command.id)
      reply
        .type('text/plain; charset=utf-8')
        .header('cache-control', 'no-store')
        .header('x-content-type-options', 'nosniff')
      if (request.query.download === '1')
        reply.header('content-disposition', `attachment; filename="${command.id.replace(/[^\w-]/g, '')}.log"`)
      return reply.send(Readable.from(texts(pages, command.id, from, end), { objectMode: false }))
    },
  )
}

async function* texts(
  pages: OutputPages,
  commandId: string,
  from: number,
  end: number,
): AsyncGenerator<Buffer> {
  let position = from
  while (position < end) {
    const page = await pages.read(commandId, position)
    const last = page.at(-1)
    if (!last) return
    yield Buffer.from(page.map((piece) => piece.text).join(''))
    position = last.end
  }
}
