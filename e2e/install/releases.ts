import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { repository } from '../repository.ts'

/** Where releases for one test run are made, signed with a key of that run. */
export interface Releases {
  readonly folder: string
  /** Builds a release and answers the path of the server's archive; one of the same version is built once. */
  build(version: string, counter: number, env?: Readonly<Record<string, string>>): string
  remove(): void
}

/** Releases of this checkout, as `npm run release` makes them. */
export function createReleases(): Releases {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-releases-'))
  const program = join(repository, 'deploy/release/main.mjs')
  const key = join(folder, 'release.key')
  execFileSync(process.execPath, [program, '--new-key', key])
  return {
    folder,
    build(version, counter, env = {}) {
      const out = join(folder, version)
      const archive = join(out, `fleetupdate-server-${version}-linux-${process.arch}.tar.gz`)
      if (existsSync(archive)) return archive
      mkdirSync(out, { recursive: true })
      const options = ['--key', key, '--out', out, '--version', version, '--counter', String(counter)]
      execFileSync(process.execPath, [program, ...options], {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      return archive
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
