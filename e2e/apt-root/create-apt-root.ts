import { spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, readlink, rename, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type BaseFlavour, baseRoot, cacheFolder } from './base.ts'
import { buildPackage, type PackageOptions } from './packages.ts'
import { indexRepository, type RepositoryName, repositories, writeSources } from './repository.ts'

export { aptRootProblem } from './base.ts'
export type { PackageOptions } from './packages.ts'

export interface Finished {
  readonly exitCode: number
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunInRoot {
  readonly env?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** A Debian of its own for one test, with a real apt and dpkg, local repositories and no network. */
export interface AptRoot {
  /** Where it stands on this machine; paths inside the root are relative to it. */
  readonly directory: string
  /** Builds a package and installs it, offline. */
  installPackage(name: string, version: string, options?: PackageOptions): Promise<void>
  /** Builds a package, puts it into a local repository and refreshes the root's index. */
  offer(
    name: string,
    version: string,
    options?: PackageOptions & { readonly repository?: RepositoryName },
  ): Promise<void>
  /** Runs a program inside the root and waits for its end; a non-zero exit is an answer, not an error. */
  run(argv: readonly string[], options?: RunInRoot): Promise<Finished>
  /** SIGKILL to every process that runs in the root now, as a power cut would; answers how many. */
  killAll(): Promise<number>
  /**
   * Only with `ownDisk`, once everything in it is killed: puts back what its disk holds at this moment. What was not yet written to the disk
   * is gone, as after a power cut.
   */
  losePower(): Promise<void>
  /** Ends every process in the root, unmounts and removes it. */
  dispose(): Promise<void>
}

/**
 * Makes an apt root: a fresh copy-on-write layer over a cached minimal Debian, /proc mounted, this machine's node at
 * `/usr/local/bin/node` (not in a `machine`), and no source but the local repositories in /srv. Needs root: see {@link aptRootProblem}.
 *
 * @example
 * const root = await createAptRoot()
 * await root.installPackage('fleet-demo', '1.0')
 * await root.offer('fleet-demo', '2.0', { slowSeconds: 3 })      // exactly one update now shows
 * await root.run(['apt-get', '-y', 'upgrade'])
 * await root.dispose()
 */
export async function createAptRoot(
  options: {
    readonly suite?: string
    readonly flavour?: BaseFlavour
    /** What changes in the root lies on an ext4 of its own. */
    readonly ownDisk?: boolean
  } = {},
): Promise<AptRoot> {
  const base = await baseRoot(options.suite ?? 'bookworm', options.flavour)
  await removeAbandoned()
  const home = await mkdtemp(join(cacheFolder(), `root-${process.pid}-`))
  if (options.ownDisk) await makeDisk(home)
  const directory = await layer(base, home)
  const root: AptRoot = {
    directory,
    run: (argv, runOptions) => inRoot(directory, argv, runOptions),
    async installPackage(name, version, packageOptions) {
      const file = await buildPackage(join(directory, 'srv/install'), name, version, packageOptions)
      await must(root.run(['dpkg', '--install', `/srv/install/${basename(file)}`]))
    },
    async offer(name, version, { repository = 'main', ...packageOptions } = {}) {
      const pool = join(directory, repositories[repository].path, 'pool')
      await buildPackage(pool, name, version, packageOptions)
      await indexRepository(directory, repository)
      await must(root.run(['apt-get', '-q', 'update']))
    },
    killAll: () => endProcesses(directory),
    async losePower() {
      const disk = diskOf(home)
      await must(local('cp', ['--sparse=always', disk, `${disk}.cut`]))
      await unmount(home)
      await rename(`${disk}.cut`, disk)
      await mountDisk(home)
      await layer(base, home)
    },
    dispose: () => remove(home),
  }
  try {
    await must(local('mount', ['-t', 'proc', 'proc', join(directory, 'proc')]))
    if (!options.flavour?.startsWith('machine')) await bindNode(directory)
    await indexRepository(directory, 'main')
    await indexRepository(directory, 'security')
    await writeSources(directory)
    await must(root.run(['apt-get', '-q', 'update']))
  } catch (error) {
    await root.dispose()
    throw error
  }
  return root
}

/** An overlay over the base where the kernel allows it, else a full copy. */
async function layer(base: string, home: string): Promise<string> {
  const directory = join(home, 'root')
  for (const folder of ['root', 'upper', 'work']) await mkdir(join(home, folder), { recursive: true })
  const layers = `lowerdir=${base},upperdir=${join(home, 'upper')},workdir=${join(home, 'work')}`
  const mounted = await local('mount', ['-t', 'overlay', 'overlay', '-o', layers, directory])
  if (mounted.exitCode !== 0) await must(local('cp', ['-a', '--reflink=auto', `${base}/.`, directory]))
  return directory
}

function diskOf(home: string): string {
  return `${home}.disk`
}

async function makeDisk(home: string): Promise<void> {
  await must(local('truncate', ['--size=8G', diskOf(home)]))
  await must(local('mkfs.ext4', ['-q', '-F', diskOf(home)]))
  await mountDisk(home)
}

/** Its journal is written when somebody asks for it: what a program does not write for good is lost, however long ago it was. */
async function mountDisk(home: string): Promise<void> {
  await must(local('mount', ['-o', 'loop,commit=300', diskOf(home), home]))
}

async function bindNode(directory: string): Promise<void> {
  const target = join(directory, 'usr/local/bin/node')
  await writeFile(target, '', { mode: 0o755 })
  const bound = await local('mount', ['--bind', '-o', 'ro', process.execPath, target])
  if (bound.exitCode !== 0) await copyFile(process.execPath, target)
}

async function inRoot(
  directory: string,
  argv: readonly string[],
  options: RunInRoot = {},
): Promise<Finished> {
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LANG: 'C.UTF-8',
    DEBIAN_FRONTEND: 'noninteractive',
    ...options.env,
  }
  return local('chroot', [directory, ...argv], { env, signal: options.signal })
}

async function local(
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; signal?: AbortSignal | undefined } = {},
): Promise<Finished> {
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) =>
      resolve({
        exitCode: code ?? 128,
        signal,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      }),
    )
  })
}

async function must(running: Promise<Finished>): Promise<Finished> {
  const finished = await running
  if (finished.exitCode === 0) return finished
  throw new Error(`exit ${finished.exitCode}: ${finished.stderr || finished.stdout}`)
}

async function remove(home: string): Promise<void> {
  await endProcesses(join(home, 'root'))
  await unmount(home)
  // `--one-file-system`: should an unmount have failed, nothing of this machine is removed with it.
  await must(local('rm', ['-rf', '--one-file-system', home, diskOf(home), `${diskOf(home)}.cut`]))
}

async function unmount(home: string): Promise<void> {
  for (const mount of ['root/proc', 'root/usr/local/bin/node', 'root', '']) {
    await local('umount', ['--lazy', join(home, mount)])
  }
}

/** Kills what runs inside the root, recognised by the root directory of the process; nothing else. */
async function endProcesses(directory: string): Promise<number> {
  let killed = 0
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const root = await readlink(`/proc/${pid}/root`).catch(() => undefined)
    if (root !== directory) continue
    process.kill(Number(pid), 'SIGKILL')
    killed += 1
  }
  return killed
}

/** Roots of test processes that are gone: a killed run must not fill the disk. */
async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(cacheFolder())) {
    const pid = /^root-(\d+)-/.exec(name)?.[1]
    if (pid === undefined) continue
    const alive = await readlink(`/proc/${pid}/exe`).catch(() => undefined)
    if (alive === undefined) await remove(join(cacheFolder(), name))
  }
}
