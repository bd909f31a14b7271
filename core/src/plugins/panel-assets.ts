import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, extname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { Negotiator } from '@fastify/accept-negotiator'
import type { FastifyInstance } from 'fastify'
import { fleetError } from '../errors.ts'
import type { Discovered } from './discover.ts'

/** Where a panel's files are for a browser; the address changes with their content. */
export interface PanelEntry {
  readonly module: string
  readonly styles: readonly string[]
  readonly slots: readonly string[]
  readonly title: string
}

export interface PanelAssets {
  entry(plugin: Discovered): Promise<PanelEntry | undefined>
  register(app: FastifyInstance): void
}

const encodings = new Negotiator({ supportedValues: ['gzip'] })
/** Fonts are compressed already. */
const packed = new Set(['.woff2'])

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json; charset=utf-8',
  '.woff2': 'font/woff2',
}

/** Serves the built panels of all plugins under `/assets/plugins/<id>/<hash>/`. Only files found when it was published exist; no path is ever built from a request. */
export function createPanelAssets(): PanelAssets {
  const files = new Map<string, string>()
  /** What was asked for so far; a file's content never changes under its address. */
  const gzipped = new Map<string, Promise<Buffer>>()
  // By discovery: a plugin that was installed anew is published anew.
  const entries = new WeakMap<Discovered, Promise<PanelEntry | undefined>>()

  const publish = async (plugin: Discovered): Promise<PanelEntry | undefined> => {
    const { panel } = plugin.manifest
    if (!panel) return undefined
    const folder = dirname(join(plugin.dir, panel.module))
    const names = (await readdir(folder, { recursive: true }).catch(() => []))
      .filter((name) => extname(name) in types)
      .sort()
    const hash = createHash('sha256')
    for (const name of names) hash.update(name).update(await readFile(join(folder, name)))
    const base = `/assets/plugins/${plugin.id}/${hash.digest('hex').slice(0, 12)}`
    for (const path of files.keys()) {
      if (!path.startsWith(`/assets/plugins/${plugin.id}/`)) continue
      files.delete(path)
      gzipped.delete(path)
    }
    for (const name of names) files.set(`${base}/${name}`, join(folder, name))
    const url = (file: string): string => `${base}/${relative(folder, join(plugin.dir, file))}`
    return {
      module: url(panel.module),
      styles: (panel.styles ?? []).map(url),
      slots: panel.slots,
      title: panel.title,
    }
  }

  const compressed = (path: string, file: string): Promise<Buffer> => {
    const known = gzipped.get(path) ?? readFile(file).then((plain) => promisify(gzip)(plain))
    gzipped.set(path, known)
    // A file that could not be read this time is read again.
    known.catch(() => gzipped.delete(path))
    return known
  }

  return {
    entry(plugin) {
      const known = entries.get(plugin) ?? publish(plugin)
      entries.set(plugin, known)
      return known
    },
    register(app) {
      app.get('/assets/plugins/*', async (request, reply) => {
        const path = request.url.split('?', 1)[0] ?? ''
        const file = files.get(path)
        if (file === undefined) throw fleetError('FLT_HTTP_NOT_FOUND', { method: 'GET', path })
        const kind = extname(file)
        reply
          .header('cache-control', 'public, max-age=31536000, immutable')
          .header('vary', 'accept-encoding')
          .type(types[kind] ?? 'application/octet-stream')
        const accepted = request.headers['accept-encoding']
        if (!accepted || packed.has(kind) || encodings.negotiate(accepted) === null)
          return reply.send(await readFile(file))
        return reply.header('content-encoding', 'gzip').send(await compressed(path, file))
      })
    },
  }
}
