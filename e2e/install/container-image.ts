import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { baseRoot } from '../apt-root/base.ts'
import { repository } from '../repository.ts'

/** The image of deploy/container/Containerfile, in a storage of its own. */
export interface ContainerImage {
  readonly config: ImageConfig
  /** Where the image is mounted, to look at what is in it. */
  readonly root: string
  /** Runs the image's own entrypoint and command with these folders as its volumes, and without capabilities. */
  start(volumes: Readonly<Record<string, string>>): Promise<Running>
  remove(): void
}

export interface Running {
  readonly url: string
  readonly process: ChildProcess
  /** The server inside: its only process of the image's user. */
  pid(): number
  output(): string
  /** Runs a program beside the server. */
  exec(argv: readonly string[]): {
    readonly exitCode: number
    readonly stdout: string
    readonly stderr: string
  }
}

interface ImageConfig {
  readonly User: string
  readonly Entrypoint: readonly string[]
  readonly Cmd: readonly string[]
  readonly Volumes: Readonly<Record<string, unknown>>
  readonly ExposedPorts: Readonly<Record<string, unknown>>
  readonly Healthcheck: { readonly Test: readonly string[] }
  readonly StopSignal?: string
}

/** Why no image can be built here, in one line for a skipped test. */
export function containerProblem(): string | undefined {
  return spawnSync('buildah', ['--version']).error === undefined
    ? undefined
    : 'an image needs buildah: apt-get install buildah'
}

/** Builds the real recipe on a base made here (a bare Debian and this very Node), because no registry is asked in a test. */
export async function buildImage(archive: string): Promise<ContainerImage> {
  const home = mkdtempSync(join(tmpdir(), 'fleet-image-'))
  const storage = ['--root', join(home, 'storage'), '--runroot', join(home, 'run')]
  const buildah = (...args: readonly string[]): string => {
    const { status, stdout, stderr } = spawnSync('buildah', [...storage, ...args], {
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    })
    if (status !== 0) throw new Error(`buildah ${args.join(' ')}: ${stderr}`)
    return stdout.trim()
  }
  const remove = (): void => {
    spawnSync('buildah', [...storage, 'umount', '--all'])
    spawnSync('buildah', [...storage, 'rm', '--all'])
    spawnSync('umount', [join(home, 'storage/overlay')])
    rmSync(home, { recursive: true, force: true })
  }
  try {
    const base = buildah('from', 'scratch')
    const folder = buildah('mount', base)
    execFileSync('cp', ['-a', `${await baseRoot('bookworm')}/.`, folder])
    copyFileSync(process.execPath, join(folder, 'usr/local/bin/node'))
    buildah('commit', '--quiet', '--rm', base, 'localhost/base')
    // HEALTHCHECK is of Docker's image format; OCI's has none.
    const options = ['--isolation', 'chroot', '--format', 'docker', '--pull-never', '--quiet']
    const args = ['--build-arg', 'BASE=localhost/base', '--build-arg', `ARCHIVE=${basename(archive)}`]
    const recipe = ['-f', join(repository, 'deploy/container/Containerfile'), '-t', 'localhost/fleetupdate']
    buildah('bud', ...options, ...args, ...recipe, dirname(archive))
    const container = buildah('from', '--pull-never', 'localhost/fleetupdate')
    const { Docker } = JSON.parse(buildah('inspect', '--type', 'image', 'localhost/fleetupdate')) as {
      Docker: { config: ImageConfig }
    }
    const config = Docker.config
    // This buildah gives a container its image's volumes anew at each run, and not always those that it is told: engines do.
    buildah('config', ...Object.keys(config.Volumes).flatMap((path) => ['--volume', `${path}-`]), container)
    const root = buildah('mount', container)
    return { config, root, remove, start: (volumes) => start({ storage, container, root, config, volumes }) }
  } catch (error) {
    remove()
    throw error
  }
}

interface Start {
  readonly storage: readonly string[]
  readonly container: string
  readonly root: string
  readonly config: ImageConfig
  readonly volumes: Readonly<Record<string, string>>
}

async function start({ storage, container, config, volumes }: Start): Promise<Running> {
  // The chroot has this machine's network.
  const port = await freePort()
  const mounts = Object.entries(volumes).flatMap(([to, from]) => ['--volume', `${from}:${to}`])
  const run = [...storage, 'run', '--isolation', 'chroot', '--cap-drop', 'all', ...mounts]
  const env = ['--env', `PORT=${port}`]
  const child = spawn('buildah', [...run, ...env, container, '--', ...config.Entrypoint, ...config.Cmd], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (printed += data))
  return {
    url: `http://127.0.0.1:${port}`,
    process: child,
    output: () => printed,
    pid() {
      const found = execFileSync('pgrep', ['--newest', '--uid', config.User.split(':')[0] ?? '', 'node'])
      return Number(found)
    },
    exec(argv) {
      const done = spawnSync('buildah', [...run, ...env, container, '--', ...argv], { encoding: 'utf8' })
      return { exitCode: done.status ?? 128, stdout: done.stdout, stderr: done.stderr }
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
