import { createHash } from 'node:crypto'
import { buildPlugin, readManifest } from '../build/index.ts'
import { type Packed, type PublisherKey, packFolder, readVersion } from '../bundle/index.ts'
import type { AdminApi, Answer } from '../cli/admin-api.ts'
import type { Manifest } from '../contract/manifest.ts'

export interface Reloaded {
  readonly manifest: Manifest
  readonly version: string
  /** The faces whose files are others than the last time. */
  readonly changed: readonly ('server' | 'executor' | 'panel')[]
}

/**
 * Builds, packs, signs and installs one plugin again and again, the same way as a released one: where the build fails or the new
 * version does not start, the server keeps the one before. Answers undefined where nothing changed; rejects with what went wrong.
 */
export function createReload(folder: string, key: PublisherKey, api: AdminApi) {
  let last: ReadonlyMap<string, string> = new Map()
  let counter = Date.now()
  return async (): Promise<Reloaded | undefined> => {
    const manifest = await readManifest(folder)
    await buildPlugin(folder, { quiet: true })
    const version = await readVersion(folder)
    if (version === undefined) throw new Error('package.json needs a "version" like 1.2.3')
    const expiresAt = new Date(Date.now() + 86_400_000).toISOString()
    counter += 1
    const packed = await packFolder({ folder, manifest, version, counter, expiresAt, key })
    const now = hashesOf(packed)
    const changed = facesOf(manifest).filter(([, isPart]) => differs(last, now, isPart))
    if (!differs(last, now, () => true)) return undefined
    await install(api, packed.bytes)
    last = now
    return { manifest, version, changed: changed.map(([face]) => face) }
  }
}

async function install(api: AdminApi, bytes: Buffer): Promise<void> {
  const offer = await api('POST', '/api/admin/plugins', bytes)
  const status: Answer = await api('POST', `/api/admin/plugins/${offer.id}/confirm`, { sha256: offer.sha256 })
  if (status.state !== 'active') throw new Error(`The server part is ${status.state}: ${status.reason}`)
}

function hashesOf({ files }: Packed): ReadonlyMap<string, string> {
  return new Map(files.map(({ path, content }) => [path, createHash('sha256').update(content).digest('hex')]))
}

type Face = readonly [name: Reloaded['changed'][number], isPart: (path: string) => boolean]

function facesOf({ server, executor, panel }: Manifest): readonly Face[] {
  const is = (file: string | undefined) => (path: string) => path === file?.replace(/^\.\//, '')
  return [
    ['server', is(server)],
    ['executor', (path) => is(executor)(path) || (executor !== undefined && path === 'package.json')],
    ['panel', (path) => panel !== undefined && path.startsWith('dist/panel/')],
  ]
}

function differs(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
  isPart: (path: string) => boolean,
): boolean {
  const paths = [...new Set([...before.keys(), ...now.keys()])]
  return paths.some((path) => isPart(path) && before.get(path) !== now.get(path))
}
