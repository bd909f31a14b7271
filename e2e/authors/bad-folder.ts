import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Written {
  readonly id: string
  /** Where it is put; default: the id. */
  readonly folder?: string
  readonly manifest?: object
  /** Text of package.json itself. */
  readonly packageJson?: string
  readonly server?: string
  readonly executor?: string
  readonly panel?: string
}

/** A folder of built plugins, written by hand as a broken build could leave them. */
export function createBadFolder(): { readonly path: string; write(plugin: Written): void; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'bad-'))
  return {
    path,
    write({ id, folder = id, manifest = {}, packageJson, server, executor, panel }) {
      const dir = join(path, folder)
      mkdirSync(join(dir, 'dist/panel'), { recursive: true })
      const faces = {
        ...(server === undefined ? {} : { server: './dist/server.js' }),
        ...(executor === undefined ? {} : { executor: './dist/executor.js' }),
        ...(panel === undefined
          ? {}
          : { panel: { module: './dist/panel/panel.js', slots: ['agent.card'], title: id } }),
      }
      const fleetupdate = { id, sdk: '1', ...faces, ...manifest }
      const json = packageJson ?? JSON.stringify({ name: id, version: '1.0.0', type: 'module', fleetupdate })
      writeFileSync(join(dir, 'package.json'), json)
      if (server !== undefined) writeFileSync(join(dir, 'dist/server.js'), server)
      if (executor !== undefined) writeFileSync(join(dir, 'dist/executor.js'), executor)
      if (panel !== undefined) writeFileSync(join(dir, 'dist/panel/panel.js'), panel)
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  }
}

/** A server part with one fact and this in its setup. */
export function serverPart(id: string, setup = '', before = ''): string {
  return `${before}
export default {
  contract: { id: ${JSON.stringify(id)}, facts: { alive: { type: 'boolean' } }, facets: {}, commands: {} },
  migrations: [],
  async setup(context) { ${setup} },
}`
}

/** An executor with one fact. */
export function executorPart(id: string, before = ''): string {
  return `${before}
export default {
  contract: { id: ${JSON.stringify(id)}, facts: { alive: { type: 'boolean' } }, facets: {}, commands: {} },
  facts: { alive: () => true },
  commands: {},
}`
}
