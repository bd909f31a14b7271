import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Manifest } from '../contract/manifest.ts'
import type { PublisherKey } from './keys.ts'
import type { ArchiveFile } from './tar.ts'
import { writeBundle } from './write-bundle.ts'

export interface PackOptions {
  readonly folder: string
  readonly manifest: Manifest
  readonly version: string
  readonly counter: number
  /** ISO 8601. */
  readonly expiresAt: string
  readonly key: PublisherKey
}

export interface Packed {
  readonly bytes: Buffer
  readonly files: readonly ArchiveFile[]
}

/** Packs what was built in a folder, and a package.json with nothing in it that the build needed. Equal options give equal bytes. */
export async function packFolder({ folder, key, ...parts }: PackOptions): Promise<Packed> {
  const { manifest, version } = parts
  const json = { name: manifest.id, version, type: 'module', fleetupdate: manifest }
  const files: ArchiveFile[] = [
    { path: 'package.json', content: Buffer.from(`${JSON.stringify(json, null, 2)}\n`) },
  ]
  const entries = await readdir(join(folder, 'dist'), { recursive: true, withFileTypes: true })
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    files.push({ path: relative(folder, file), content: await readFile(file) })
  }
  return { bytes: writeBundle({ ...parts, files }, key), files }
}

/** The version in a folder's package.json, like `1.2.3`; undefined where it is none. */
export async function readVersion(folder: string): Promise<string | undefined> {
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    version?: unknown
  }
  return typeof version === 'string' && /^\d+\.\d+\.\d+$/.test(version) ? version : undefined
}
