import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildPlugin } from '@fleetupdate/sdk/build'
import { repository } from '../repository.ts'
import type { Build, Sabotage } from './fault.ts'

/**
 * A copy of the built programs, so that a build meanwhile changes nothing, and so that it can be broken on purpose. It lies below the
 * checkout's node_modules, where native modules are found. `dispose` removes it.
 */
export async function copyBuild(sabotage?: Sabotage): Promise<Build & { dispose(): Promise<void> }> {
  const cache = join(repository, 'node_modules/.cache/faults')
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(join(cache, 'build-'))
  for (const room of ['core', 'agent'])
    await cp(join(repository, room, 'dist'), join(folder, room, 'dist'), { recursive: true })
  const plugin = join(repository, 'plugins/log-stream')
  await cp(join(plugin, 'dist'), join(folder, 'server-plugins/log-stream/dist'), { recursive: true })
  await cp(join(plugin, 'package.json'), join(folder, 'server-plugins/log-stream/package.json'))
  await cp(join(repository, 'e2e/faults/lab-plugin'), join(folder, 'lab'), { recursive: true })
  await buildPlugin(join(folder, 'lab'))
  for (const id of await readdir(join(repository, 'agent-plugins')))
    for (const part of ['dist', 'package.json'])
      await cp(join(repository, 'agent-plugins', id, part), join(folder, 'executors', id, part), {
        recursive: true,
      })
  // As if it came with the agent: the lab is about commands, not about strangers.
  await cp(join(folder, 'lab'), join(folder, 'agent/dist/executors/lab'), { recursive: true })
  const build = {
    folder,
    server: join(folder, 'core/dist/main.js'),
    storeWorker: join(folder, 'core/dist/store-worker.js'),
    agent: join(folder, 'agent/dist/main.js'),
    agentFolder: join(folder, 'agent/dist'),
    executors: join(folder, 'executors'),
    aptExecutor: join(folder, 'executors/apt-upgrade/dist/executor.js'),
    plugins: join(folder, 'server-plugins'),
    logStream: join(folder, 'server-plugins/log-stream/dist/server.js'),
    labPlugin: join(folder, 'lab'),
  }
  if (sabotage) await breakFile(build[sabotage.file], sabotage)
  return { ...build, dispose: () => rm(folder, { recursive: true, force: true }) }
}

async function breakFile(path: string, { what, edits }: Sabotage): Promise<void> {
  let text = await readFile(path, 'utf8')
  for (const { find, replace } of edits) {
    const times = [...text.matchAll(new RegExp(find, 'g'))].length
    if (times !== 1)
      throw new Error(`"${what}": ${find} is found ${times} times in ${path}; it must be exactly once.`)
    text = text.replace(find, replace)
  }
  await writeFile(path, text)
}
