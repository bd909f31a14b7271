import { FleetError } from '../errors/fleet-error.ts'
import { checkVerb } from './check.ts'
import { devVerb } from './dev.ts'
import { installVerb } from './install.ts'
import { keygenVerb } from './keygen.ts'
import { disableVerb, enableVerb, listVerb, removeVerb } from './manage.ts'
import { newPlugin } from './new.ts'
import { packVerb } from './pack.ts'
import type { Terminal, Verb } from './verb.ts'

const verbs: Readonly<Record<string, Verb>> = {
  new: newPlugin,
  dev: devVerb,
  check: checkVerb,
  keygen: keygenVerb,
  pack: packVerb,
  install: installVerb,
  list: listVerb,
  enable: enableVerb,
  disable: disableVerb,
  remove: removeVerb,
}

/** The command line `fleetupdate plugin VERB …`. Answers the exit code: 0 done, 1 refused, 2 not understood; never throws. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  const [room, name = '', ...rest] = args
  const verb = room === 'plugin' && Object.hasOwn(verbs, name) ? verbs[name] : undefined
  if (!verb) {
    terminal.print('Usage:')
    for (const { usage, summary } of Object.values(verbs)) terminal.print(`  ${usage}\n      ${summary}`)
    return args.length === 0 || args.includes('--help') ? 0 : 2
  }
  try {
    return await verb.run(rest, terminal)
  } catch (error) {
    terminal.print(sentence(error))
    return error instanceof FleetError && error.code === 'FLT_CLI_USAGE' ? 2 : 1
  }
}

function sentence(error: unknown): string {
  if (error instanceof FleetError) return `${error.code}: ${error.message}`
  return error instanceof Error ? error.message : String(error)
}
