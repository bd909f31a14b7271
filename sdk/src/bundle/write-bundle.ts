import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import type { Manifest } from '../contract/manifest.ts'
import { signEnvelope } from './envelope.ts'
import { bundleError } from './errors.ts'
import type { PublisherKey } from './keys.ts'
import { bundleLimits } from './limits.ts'
import type { Statement } from './statement.ts'
import { type ArchiveFile, writeTar } from './tar.ts'

export interface BundleParts {
  readonly version: string
  readonly counter: number
  /** ISO 8601. */
  readonly expiresAt: string
  readonly manifest: Manifest
  /** Among them the `package.json` with this manifest. */
  readonly files: readonly ArchiveFile[]
}

/** Packs and signs a plugin into one file; equal parts and an equal key give equal bytes. */
export function writeBundle(parts: BundleParts, key: PublisherKey): Buffer {
  const files = [...parts.files].sort((a, b) => (a.path < b.path ? -1 : 1))
  const statement: Statement = {
    type: 'fleetupdate-bundle-1',
    id: parts.manifest.id,
    version: parts.version,
    counter: parts.counter,
    publisher: key.publicKey,
    expiresAt: parts.expiresAt,
    manifest: parts.manifest,
    files: files.map(({ path, content }) => ({
      path,
      bytes: content.length,
      sha256: createHash('sha256').update(content).digest('hex'),
    })),
  }
  const envelope = signEnvelope(Buffer.from(JSON.stringify(statement)), key.privateKey, key.publicKey)
  const archive = writeTar([{ path: envelopePath, content: Buffer.from(JSON.stringify(envelope)) }, ...files])
  const packed = gzipSync(archive, { level: 9 })
  if (packed.length > bundleLimits.packedBytes)
    throw bundleError('FLT_BUNDLE_TOO_LARGE', {
      problem: `${packed.length} of ${bundleLimits.packedBytes} bytes`,
    })
  return packed
}

/** Where the signed statement is in the archive: first. */
export const envelopePath = 'bundle.json'
