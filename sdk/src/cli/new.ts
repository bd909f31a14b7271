import { existsSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cliError } from './errors.ts'
import { writeInRepository, writeStandalone } from './scaffold.ts'
import { readArguments, type Terminal, type Verb } from './verb.ts'

const usage = 'fleetupdate plugin new ID [--in-repository]'
const template = fileURLToPath(new URL('../../template', import.meta.url))
const idPattern = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/

/** Makes a small, complete capability from the template: a folder ID here, or the two folders of this repository. */
export const newPlugin: Verb = {
  usage,
  summary: 'Makes a small, complete plugin: contract, server part, executor, panel, tests.',
  async run(args, terminal) {
    const given = readArguments(usage, args, { 'in-repository': 'flag' })
    const [id, ...more] = given.positionals
    if (id === undefined || more.length > 0)
      throw cliError('FLT_CLI_USAGE', { usage, problem: 'Give one id' })
    if (!idPattern.test(id) || id.length > 64) throw cliError('FLT_CLI_ID', { id })
    return given.has('in-repository') ? inRepository(id, terminal) : standalone(id, terminal)
  },
}

async function standalone(id: string, { cwd, print }: Terminal): Promise<number> {
  const folder = free(join(cwd, id))
  await writeStandalone(template, folder, id)
  print(`Made ${relative(cwd, folder)}. Next:`)
  for (const line of [`cd ${id}`, 'npm install', 'npm run build', 'npm test', 'npm run check', 'npm run dev'])
    print(`  ${line}`)
  print('The last one shows it in a fleet of its own, and reloads it whenever you save.')
  return 0
}

async function inRepository(id: string, { cwd, print }: Terminal): Promise<number> {
  const root = resolve(cwd)
  if (!existsSync(join(root, 'plugins')) || !existsSync(join(root, 'agent-plugins')))
    throw cliError('FLT_CLI_NO_REPOSITORY', { path: root })
  const folders = { plugin: free(join(root, 'plugins', id)), executor: free(join(root, 'agent-plugins', id)) }
  await writeInRepository(template, folders, id)
  print(`Made plugins/${id} and agent-plugins/${id}. Next:`)
  for (const line of ['npm install', 'npm start']) print(`  ${line}`)
  return 0
}

function free(folder: string): string {
  if (existsSync(folder)) throw cliError('FLT_CLI_EXISTS', { path: folder })
  return folder
}
