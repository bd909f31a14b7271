import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What a plugin is written against, and what it is tried in. */
export const authorPackages = ['sdk', 'core', 'agent'] as const

/**
 * Where npm gets the packages of this very version for a new plugin, by their full names: from the checkout or the file this sdk came from
 * itself, so that no registry needs to know them; else by version.
 */
export async function packageSpecs(
  own: string = fileURLToPath(new URL('../..', import.meta.url)),
): Promise<Readonly<Record<string, string>>> {
  const folder = resolve(own)
  const json = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }
  const checkout = dirname(folder)
  const inCheckout = authorPackages.every((room) => existsSync(join(checkout, room, 'src')))
  const file = inCheckout ? undefined : await tarballOf(folder)
  const specOf = (room: string): string => {
    if (inCheckout) return `file:${join(checkout, room)}`
    const sibling = file?.replace(/fleetupdate-sdk-(?=[^/]*$)/, `fleetupdate-${room}-`)
    const known = sibling !== undefined && (!sibling.startsWith('/') || existsSync(sibling))
    if (!known) return `^${json.version}`
    return sibling.startsWith('/') ? `file:${sibling}` : sibling
  }
  return Object.fromEntries(authorPackages.map((room) => [`@fleetupdate/${room}`, specOf(room)]))
}

/** The file or address npm installed this sdk from, out of npm's own notes; undefined for one from a registry. */
async function tarballOf(folder: string): Promise<string | undefined> {
  const project = dirname(dirname(dirname(folder)))
  const text = await readFile(join(project, 'node_modules/.package-lock.json'), 'utf8').catch(() => '{}')
  const { packages } = JSON.parse(text) as { packages?: Record<string, { resolved?: unknown }> }
  const from = packages?.['node_modules/@fleetupdate/sdk']?.resolved
  if (typeof from !== 'string' || !/^fleetupdate-sdk-.+\.tgz$/.test(basename(from))) return undefined
  return from.startsWith('file:') ? resolve(project, from.slice('file:'.length)) : from
}
