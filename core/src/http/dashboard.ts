import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { fleetError } from '../errors.ts'
import type { PublicPaths } from './public-urls.ts'
import { pagePolicy } from './security-headers.ts'

/** Serves the built dashboard: hashed files for a year, compressed as the build left them, and its page for every other path that is not the API's. */
export async function registerDashboard(
  app: FastifyInstance,
  dir: string | undefined,
  { prefixFor }: Pick<PublicPaths, 'prefixFor'>,
): Promise<void> {
  const page = dir === undefined ? undefined : await readPage(dir)
  if (dir !== undefined && page) {
    await app.register(fastifyStatic, {
      root: dir,
      index: false,
      wildcard: false,
      immutable: true,
      maxAge: '365d',
      preCompressed: true,
      globIgnore: ['index.html', '**/*.{map,br,gz}'],
    })
  }
  const send = ({ headers }: FastifyRequest, reply: FastifyReply): FastifyReply => {
    if (!page) throw fleetError('FLT_HTTP_NOT_FOUND', { method: 'GET', path: '/' })
    return reply
      .header('content-security-policy', page.policy)
      .header('cache-control', 'no-cache')
      .type('text/html; charset=utf-8')
      .send(page.html.replace('<base href="/"', `<base href="${prefixFor(headers.host)}/"`))
  }
  app.get('/', (request, reply) => send(request, reply))
  app.get('/*', (request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const isPage = page !== undefined && !path.startsWith('/api/') && !path.startsWith('/assets/')
    if (!isPage) throw fleetError('FLT_HTTP_NOT_FOUND', { method: request.method, path })
    return send(request, reply)
  })
}

async function readPage(dir: string): Promise<{ html: string; policy: string } | undefined> {
  try {
    const html = await readFile(join(dir, 'index.html'), 'utf8')
    return { html, policy: pagePolicy(html) }
  } catch {
    return undefined
  }
}
