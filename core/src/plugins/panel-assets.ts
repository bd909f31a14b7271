import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, extname, join, relative } from 'node:path'
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
    for (const path of files.keys()) if (path.startsWith(`/assets/plugins/${plugin.id}/`)) files.delete(path)
    for (const name of names) files.set(`${base}/${name}`, join(folder, name))
    const url = (file: string): string => `${base}/${relative(folder, join(plugin.dir, file))}`
    return {
      module: url(panel.module),
      styles: (panel.styles ?? []).map(url),
      slots: panel.slots,
      title: panel.title,
    }
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
        return reply
          .header('cache-control', 'public, max-age=31536000, immutable')
          .type(types[extname(file)] ?? 'application/octet-stream')
          .send(await readFile(file))
      })
    },
  }
}
