import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'

/** The format this program writes, and the highest it reads. */
export const backupFormat = 1

/** Name of the manifest inside a backup. */
export const manifestName = 'backup.json'

const Path = Type.String({
  pattern: '^[A-Za-z0-9@_][A-Za-z0-9@._+ -]*(/[A-Za-z0-9@._+ -]+)*$',
  maxLength: 1024,
})

const BackupFile = Type.Object(
  {
    path: Path,
    bytes: Type.Integer({ minimum: 0 }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  },
  { additionalProperties: false },
)
export type BackupFile = Static<typeof BackupFile>

const Contents = {
  format: Type.Integer({ minimum: 1 }),
  /** Of the program that made it. */
  version: Type.String({ maxLength: 64 }),
  /** ISO 8601: what was stored before this moment is in it. */
  madeAt: Type.String({ maxLength: 40 }),
  /** Tells which master key its secrets are sealed with, without telling the key. */
  keyId: Type.String({ pattern: '^[0-9a-f]{32}$' }),
  files: Type.Array(BackupFile, { maxItems: 100_000 }),
}

const Manifest = Type.Object({ ...Contents, mac: Type.String({ pattern: '^[0-9a-f]{64}$' }) })
/** The list of all that is in a backup, under a MAC of the master key. */
export type Manifest = Static<typeof Manifest>
export type ManifestContents = Omit<Manifest, 'mac'>

const check = Compile(Manifest)
const formatCheck = Compile(Type.Object({ format: Type.Integer(), version: Type.String() }))

/** A manifest as text, ready to be written. */
export function writeManifest(contents: ManifestContents, masterKey: Uint8Array): string {
  const manifest: Manifest = { ...contents, mac: macOf(contents, masterKey) }
  return `${JSON.stringify(manifest, undefined, 1)}\n`
}

export type ReadManifest =
  | { readonly kind: 'manifest'; readonly manifest: Manifest }
  /** A later format, of which nothing but this is known. */
  | { readonly kind: 'newer'; readonly format: number; readonly version: string }
  | { readonly kind: 'malformed'; readonly problem: string }

/** Reads a manifest; says nothing yet about who wrote it. */
export function readManifest(text: string): ReadManifest {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { kind: 'malformed', problem: `${manifestName} is not JSON` }
  }
  if (formatCheck.Check(value) && value.format > backupFormat)
    return { kind: 'newer', format: value.format, version: value.version.slice(0, 64) }
  if (!check.Check(value)) return { kind: 'malformed', problem: `${manifestName} is not complete` }
  const { paths, double } = pathsOf(value.files)
  if (double !== undefined) return { kind: 'malformed', problem: `${double} stands in it twice` }
  const outside = [...paths].find((path) => path.split('/').some((part) => part === '..' || part === '.'))
  if (outside !== undefined) return { kind: 'malformed', problem: `${outside} leads elsewhere` }
  return { kind: 'manifest', manifest: value }
}

/** Whether the key made this manifest, and nobody changed it since. */
export function isAuthentic({ mac, ...contents }: Manifest, masterKey: Uint8Array): boolean {
  return timingSafeEqual(Buffer.from(mac, 'hex'), Buffer.from(macOf(contents, masterKey), 'hex'))
}

/** The same for the same key; the key does not follow from it. */
export function keyIdOf(masterKey: Uint8Array): string {
  return Buffer.from(hkdfSync('sha256', masterKey, '', 'fleetupdate/v1/backup-key-id', 16)).toString('hex')
}

function macOf({ format, version, madeAt, keyId, files }: ManifestContents, masterKey: Uint8Array): string {
  const key = Buffer.from(hkdfSync('sha256', masterKey, '', 'fleetupdate/v1/backup-manifest', 32))
  const listed = files.map(({ path, bytes, sha256 }) => [path, bytes, sha256])
  return createHmac('sha256', key)
    .update(JSON.stringify([format, version, madeAt, keyId, listed]))
    .digest('hex')
}

function pathsOf(files: readonly BackupFile[]): { paths: Set<string>; double: string | undefined } {
  const paths = new Set<string>()
  let double: string | undefined
  for (const { path } of files) {
    if (paths.has(path)) double = path
    paths.add(path)
  }
  return { paths, double }
}
