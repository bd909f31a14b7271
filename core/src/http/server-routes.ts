import { statfs } from 'node:fs/promises'
import { Type } from 'typebox'
import { docsPage } from './docs-page.ts'
import { type OpenApiSource, openApiDocument } from './openapi.ts'
import type { Route } from './routes.ts'

export interface ServerRouteDeps {
  readonly version: string
  /** Plugins by state; the server is ready when none of them is still starting. */
  states(): Readonly<Record<string, { readonly state: string; readonly reason?: string }>>
  ready(): boolean
  openApi(): OpenApiSource
  /** ISO 8601. */
  readonly startedAt: string
  readonly dataDir: string
  /** Where agents and people reach it; empty: by whatever Host they ask for. */
  readonly publicUrls: readonly URL[]
}

const ServerView = Type.Object({
  version: Type.String(),
  startedAt: Type.String({ format: 'date-time' }),
  dataDir: Type.String(),
  disk: Type.Object({ freeBytes: Type.Number(), totalBytes: Type.Number() }),
  publicUrls: Type.Array(Type.String(), { description: 'PUBLIC_URL; empty where it is not set' }),
})

/** Health, readiness and the description of the API. */
export function serverRoutes(deps: ServerRouteDeps): readonly Route[] {
  const { version, states, ready, openApi, startedAt, dataDir, publicUrls } = deps
  return [
    {
      method: 'GET',
      path: '/api/server',
      rule: { role: 'admin' },
      summary: 'What this server is: its version, since when it runs, and where its data lies',
      answer: ServerView,
      async handle() {
        const disk = await statfs(dataDir)
        return {
          version,
          startedAt,
          dataDir,
          disk: { freeBytes: disk.bavail * disk.bsize, totalBytes: disk.blocks * disk.bsize },
          publicUrls: publicUrls.map(({ href }) => href),
        }
      },
    },
    {
      method: 'GET',
      path: '/api/health',
      rule: 'public',
      summary: 'Whether the server answers',
      handle: () => ({ status: 'ok', version, time: new Date().toISOString() }),
    },
    {
      method: 'GET',
      path: '/api/ready',
      rule: 'public',
      summary: 'Whether every plugin has been started (503 while not), and their states',
      handle: ({ reply }) => {
        const plugins = Object.fromEntries(Object.entries(states()).map(([id, { state }]) => [id, state]))
        return reply.code(ready() ? 200 : 503).send({ status: ready() ? 'ready' : 'starting', plugins })
      },
    },
    {
      method: 'GET',
      path: '/api/openapi.json',
      rule: 'public',
      summary: 'This API as an OpenAPI 3.1 document',
      handle: () => openApiDocument(openApi()),
    },
    {
      method: 'GET',
      path: '/api/docs',
      rule: 'public',
      summary: 'This API as a page to browse',
      handle: ({ reply }) =>
        reply.type('text/html; charset=utf-8').send(docsPage(openApiDocument(openApi()))),
    },
  ]
}
