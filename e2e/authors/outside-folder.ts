import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { repository } from '../repository.ts'

/** A folder outside the repository in which the packages a plugin needs are linked, as `npm install` would put them. */
export function createOutsideFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'author-'))
  const modules = join(path, 'node_modules')
  mkdirSync(join(modules, '@fleetupdate'), { recursive: true })
  for (const room of ['sdk', 'core', 'agent'])
    symlinkSync(join(repository, room), join(modules, '@fleetupdate', room))
  for (const name of ['vue', 'vite', 'vitest', '@vitejs', 'fastify', 'kysely', 'better-sqlite3'])
    symlinkSync(join(repository, 'node_modules', name), join(modules, name))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}
