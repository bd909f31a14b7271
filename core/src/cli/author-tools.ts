import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { fleetError } from '../errors.ts'
import type { World } from './verb.ts'

/** Verbs that `fleetupdate plugin` has on the machine of whoever writes plugins; they come with the SDK, not with the server. */
export const authorVerbs: Elsewhere = {
  verbs: ['new', 'check', 'keygen', 'pack', 'dev'],
  summary: "the author's tools, from the SDK: npx fleetupdate plugin",
  run: (args, world) => runAuthorTools(['plugin', ...args], world),
}

/** Verbs of a noun that another program carries out. */
export interface Elsewhere {
  readonly verbs: readonly string[]
  readonly summary: string
  run(args: readonly string[], world: World): Promise<number>
}

interface AuthorTools {
  runCli(
    args: readonly string[],
    terminal: Pick<World, 'cwd' | 'env' | 'print' | 'note' | 'confirm'>,
  ): Promise<number>
}

/** Hands the words to the SDK of the folder one stands in, or of the checkout this program was built in. Throws FLT_CLI_AUTHOR_TOOLS. */
async function runAuthorTools(args: readonly string[], world: World): Promise<number> {
  const entry = entriesFor(world).find((file) => existsSync(file))
  if (entry === undefined) throw fleetError('FLT_CLI_AUTHOR_TOOLS', { words: args.join(' ') })
  const tools = (await import(pathToFileURL(entry).href)) as AuthorTools
  return tools.runCli(args, world)
}

function entriesFor({ cwd, uid, programDir }: World): readonly string[] {
  const entryIn = (folder: string): string => join(folder, 'dist/cli/index.js')
  const own = entryIn(join(programDir, '../../sdk'))
  // Root must not run what lies in just any folder.
  if (uid === 0) return [own]
  try {
    const manifest = createRequire(join(cwd, 'any.js')).resolve('@fleetupdate/sdk/package.json')
    return [entryIn(dirname(manifest)), own]
  } catch {
    return [own]
  }
}
