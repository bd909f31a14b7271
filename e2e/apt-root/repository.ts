import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

export type RepositoryName = 'main' | 'security'

interface Layout {
  /** Where it stands inside the root. */
  readonly path: string
  readonly source: string
  /** Folder of the Release file, below `path`. */
  readonly dist: string
  /** Folder of the Packages file, below `path`. */
  readonly index: string
  readonly release: Readonly<Record<string, string>>
}

/** The two local repositories of an apt root: a flat one, and one laid out and labelled like Debian's security archive. */
export const repositories: Readonly<Record<RepositoryName, Layout>> = {
  main: {
    path: '/srv/repo',
    source: 'deb [trusted=yes] file:/srv/repo ./',
    dist: '.',
    index: '.',
    release: { Origin: 'Fleet', Label: 'Fleet', Suite: 'stable', Codename: 'fleet' },
  },
  security: {
    path: '/srv/security',
    source: 'deb [trusted=yes] file:/srv/security fleet-security main',
    dist: 'dists/fleet-security',
    index: 'dists/fleet-security/main/binary-amd64',
    release: {
      Origin: 'Fleet',
      Label: 'Fleet-Security',
      Suite: 'stable-security',
      Codename: 'fleet-security',
      Components: 'main',
      Architectures: 'amd64',
    },
  },
}

/** Makes the index of a repository anew from the .deb files in its `pool`. */
export async function indexRepository(root: string, name: RepositoryName): Promise<void> {
  const { path, dist, index, release } = repositories[name]
  const folder = join(root, path)
  await mkdir(join(folder, 'pool'), { recursive: true })
  await mkdir(join(folder, index), { recursive: true })
  const packages = await execute('apt-ftparchive', ['packages', 'pool'], { cwd: folder, maxBuffer: 64 << 20 })
  await writeFile(join(folder, index, 'Packages'), packages.stdout)
  const options = Object.entries(release).flatMap(([key, value]) => [
    '-o',
    `APT::FTPArchive::Release::${key}=${value}`,
  ])
  const text = await execute('apt-ftparchive', [...options, 'release', dist], { cwd: folder })
  await writeFile(join(folder, dist, 'Release'), text.stdout)
}

/** Writes the source lines of all local repositories, and nothing else. */
export async function writeSources(root: string): Promise<void> {
  const file = join(root, 'etc/apt/sources.list')
  await mkdir(dirname(file), { recursive: true })
  const lines = Object.values(repositories).map((repository) => repository.source)
  await writeFile(file, `${lines.join('\n')}\n`)
}
