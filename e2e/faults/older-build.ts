import { execFile, execFileSync } from 'node:child_process'
import { cp, mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { repository } from '../repository.ts'
import type { Build, Lab } from './fault.ts'

const execute = promisify(execFile)

/** The last commit of the first day's work. Until there is a release, this is the older version. */
const firstDay = '0f9141f'
const rooms = ['sdk', 'core', 'agent', 'plugins/log-stream'] as const

/** The version this one is tried with: FAULTS_OLDER, or the newest release, or an old commit of the history. */
export function olderVersion(): string {
  const asked = process.env.FAULTS_OLDER
  if (asked !== undefined && asked !== '') return asked
  const [newest = ''] = git('tag', '--list', 'v*', '--sort=-v:refname').split('\n')
  return newest === '' ? firstDay : newest
}

/** Why an older version cannot be built here; undefined where it can. */
export function olderProblem(): string | undefined {
  try {
    git('rev-parse', '--verify', '--quiet', `${olderVersion()}^{commit}`)
    return undefined
  } catch {
    return 'it needs the history of this checkout: git fetch --unshallow --tags, or set FAULTS_OLDER to a commit that is there'
  }
}

/** Builds the server, the agent and the lab's capability of an older version with the dependencies that are installed now. */
export async function buildOlder(lab: Lab): Promise<Build> {
  const folder = join(lab.folder, 'older')
  await mkdir(folder)
  const archive = join(lab.folder, 'older.tar')
  await execute('git', ['archive', `--output=${archive}`, olderVersion()], { cwd: repository })
  await execute('tar', ['-xf', archive, '-C', folder])
  await linkDependencies(folder)
  for (const room of rooms) await build(folder, join(folder, room))
  // By its own sdk, from its own sources: what an operator of that version would have.
  const labPlugin = join(folder, 'lab')
  await cp(join(folder, 'e2e/faults/lab-plugin'), labPlugin, { recursive: true })
  await build(folder, labPlugin, 'fleetupdate-build')
  await cp(labPlugin, join(folder, 'agent/dist/executors/lab'), { recursive: true })
  const logStream = join(folder, 'served/log-stream')
  for (const part of ['dist', 'package.json'])
    await cp(join(folder, 'plugins/log-stream', part), join(logStream, part), { recursive: true })
  return {
    folder,
    server: join(folder, 'core/dist/main.js'),
    storeWorker: join(folder, 'core/dist/store-worker.js'),
    agent: join(folder, 'agent/dist/main.js'),
    agentFolder: join(folder, 'agent/dist'),
    executors: join(folder, 'agent/dist/executors'),
    aptExecutor: '',
    plugins: join(folder, 'served'),
    logStream: join(logStream, 'dist/server.js'),
    labPlugin,
  }
}

/** What is installed, but the rooms of the older version itself. */
async function linkDependencies(folder: string): Promise<void> {
  const installed = join(repository, 'node_modules')
  const target = join(folder, 'node_modules')
  await mkdir(join(target, '@fleetupdate'), { recursive: true })
  for (const name of await readdir(installed))
    if (name !== '@fleetupdate') await symlink(join(installed, name), join(target, name))
  for (const room of rooms) {
    const { name } = JSON.parse(await readFile(join(folder, room, 'package.json'), 'utf8'))
    await symlink(join(folder, room), join(target, name))
  }
}

/** Runs the build script of a folder, or this one, with the programs of the older sdk before those that are installed. */
async function build(folder: string, room: string, script?: string): Promise<void> {
  const { bin } = JSON.parse(await readFile(join(folder, 'sdk/package.json'), 'utf8'))
  const { scripts } = JSON.parse(await readFile(join(room, 'package.json'), 'utf8'))
  const [program = '', ...args] = String(script ?? scripts.build).split(' ')
  const own: unknown = bin[program]
  const command =
    typeof own === 'string'
      ? [process.execPath, join(folder, 'sdk', own)]
      : program === 'node'
        ? [process.execPath]
        : [join(repository, 'node_modules/.bin', program)]
  const [first = '', ...rest] = [...command, ...args]
  await execute(first, rest, { cwd: room })
}

function git(...words: readonly string[]): string {
  return execFileSync('git', [...words], {
    cwd: repository,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim()
}
