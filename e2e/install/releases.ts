import { execFileSync } from 'node:child_process'
import { createHash, createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { readTar, writeTar } from '@fleetupdate/sdk/bundle'
import { repository } from '../repository.ts'

/** Where releases for one test run are made, signed with a key of that run. */
export interface Releases {
  readonly folder: string
  /** File of the key that signs them. */
  readonly key: string
  /** Builds a release and answers the path of the server's archive; one of the same version is built once. */
  build(version: string, counter: number, env?: Readonly<Record<string, string>>): string
  /** The same, but its agent ends as soon as it is started; signed all the same. */
  buildBroken(version: string, counter: number): string
  /** A server that reads its settings well, and ends when it is to serve. */
  buildBrokenServer(version: string, counter: number): string
  remove(): void
}

/** Releases of this checkout, as `npm run release` makes them. */
export function createReleases(): Releases {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-releases-'))
  const program = join(repository, 'deploy/release/main.mjs')
  const key = join(folder, 'release.key')
  execFileSync(process.execPath, [program, '--new-key', key])
  const build: Releases['build'] = (version, counter, env = {}) => {
    const out = join(folder, version)
    const archive = join(out, `fleetupdate-server-${version}-linux-${process.arch}.tar.gz`)
    if (existsSync(archive)) return archive
    mkdirSync(out, { recursive: true })
    const options = [
      '--no-build',
      '--key',
      key,
      '--out',
      out,
      '--version',
      version,
      '--counter',
      String(counter),
    ]
    execFileSync(process.execPath, [program, ...options], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    return archive
  }
  return {
    folder,
    key,
    build,
    buildBroken: (version, counter) =>
      changed(build(version, counter), (tree) =>
        breakAgent(join(tree, 'agent-release'), createPrivateKey(readFileSync(key))),
      ),
    buildBrokenServer: (version, counter) =>
      changed(build(version, counter), (tree) => {
        const main = join(tree, 'main.js')
        writeFileSync(main, withFault(readFileSync(main, 'utf8')))
      }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Unpacks an archive, changes its tree, and packs it again. */
function changed(archive: string, change: (tree: string) => void): string {
  const stage = mkdtempSync(join(archive, '../changed-'))
  execFileSync('tar', ['-xzf', archive, '-C', stage])
  const [name = ''] = readdirSync(stage)
  change(join(stage, name))
  execFileSync('tar', ['-czf', archive, '-C', stage, name])
  rmSync(join(archive, '../SHA256SUMS'))
  return archive
}

/** A program as it would be with a fault that no test found: it answers what it is asked, and dies when it is to run. */
function withFault(program: string): string {
  const fault =
    "if (process.argv[2] === undefined) { console.error('a fault that no test found'); process.exit(1) }\n"
  const [first, second, ...rest] = program.split('\n')
  return [first, second, fault, ...rest].join('\n')
}

/** As a release would be whose agent has a fault that no test found: it says its version, and dies when it is to run. */
function breakAgent(release: string, key: KeyObject): void {
  const json = join(release, 'release.json')
  const statement = JSON.parse(readFileSync(json, 'utf8')) as {
    archive: { name: string; sha256: string; bytes: number }
  }
  const old = join(release, statement.archive.name)
  const files = readTar(gunzipSync(readFileSync(old))).map(({ path, content }) =>
    path === 'main.js' ? { path, content: Buffer.from(withFault(content.toString())) } : { path, content },
  )
  const archive = gzipSync(writeTar(files))
  const sha256 = createHash('sha256').update(archive).digest('hex')
  statement.archive = { name: `agent-${sha256}.tar.gz`, sha256, bytes: archive.length }
  const bytes = Buffer.from(JSON.stringify(statement, null, 2))
  rmSync(old)
  writeFileSync(join(release, statement.archive.name), archive)
  writeFileSync(json, bytes)
  writeFileSync(join(release, 'release.sig'), sign(null, bytes, key).toString('base64'))
}
