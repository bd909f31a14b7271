import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { bundleLimits } from '../bundle/index.ts'
import { cliError } from './errors.ts'
import type { Terminal } from './verb.ts'

const packageName = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*(@[a-z0-9^~.+-]+)?$/i

/**
 * The bytes of a bundle: a file, or else the one `.fleetplugin` file in the npm package of that name. The package is fetched, never installed:
 * nothing of it is run, and nothing it depends on is fetched. Throws FLT_CLI_SOURCE.
 */
export async function fetchBundle(source: string, terminal: Pick<Terminal, 'cwd' | 'env'>): Promise<Buffer> {
  const file = resolve(terminal.cwd, source)
  if (existsSync(file)) return readFile(file)
  if (source.endsWith('.fleetplugin') || source.startsWith('.') || !packageName.test(source))
    throw cliError('FLT_CLI_SOURCE', { source, problem: 'there is no such file' })
  return bundleIn(source, await fetchPackage(source, terminal.env))
}

async function fetchPackage(name: string, env: Terminal['env']): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'fleetupdate-fetch-'))
  try {
    const args = ['pack', name, '--ignore-scripts', '--loglevel=error', '--pack-destination', folder]
    await promisify(execFile)('npm', args, { cwd: folder, env: { ...env }, timeout: 120_000 })
    const [tarball] = await readdir(folder)
    if (tarball === undefined) throw new Error('npm fetched nothing')
    return await readFile(join(folder, tarball))
  } catch (error) {
    const { stderr = '', message = '' } = error as { stderr?: string; message?: string }
    const reason = /npm error (?:code )?(E\w+)/.exec(stderr)?.[1] ?? (stderr || message).trim().split('\n')[0]
    throw cliError('FLT_CLI_SOURCE', { source: name, problem: `npm could not fetch it (${reason})` })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The package's only bundle. npm's archives are tar with entries of 512-byte blocks; only plain files are looked at. */
function bundleIn(name: string, tarball: Buffer): Buffer {
  const refuse = (problem: string): Error => cliError('FLT_CLI_SOURCE', { source: name, problem })
  let archive: Buffer
  try {
    archive = gunzipSync(tarball, { maxOutputLength: bundleLimits.unpackedBytes })
  } catch {
    throw refuse('what npm fetched cannot be unpacked')
  }
  const found: Buffer[] = []
  for (let at = 0; at + 512 <= archive.length; ) {
    const header = archive.subarray(at, at + 512)
    const size = Number.parseInt(text(header, 124, 12).trim() || '0', 8)
    if (!Number.isSafeInteger(size) || size < 0) throw refuse('what npm fetched is no archive')
    const isFile = header[156] === 0x30 || header[156] === 0
    if (isFile && text(header, 0, 100).endsWith('.fleetplugin'))
      found.push(archive.subarray(at + 512, at + 512 + size))
    at += 512 + Math.ceil(size / 512) * 512
  }
  const [bundle] = found
  if (bundle === undefined || found.length > 1)
    throw refuse(`the package holds ${found.length} files named *.fleetplugin, and should hold one`)
  return bundle
}

function text(header: Buffer, start: number, length: number): string {
  const field = header.toString('latin1', start, start + length)
  const end = field.indexOf('\0')
  return end < 0 ? field : field.slice(0, end)
}
