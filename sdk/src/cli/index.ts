import { FleetError } from '../errors/fleet-error.ts'
import { checkVerb } from './check.ts'
import { devVerb } from './dev.ts'
import { exitCodes } from './exit-codes.ts'
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

/** The command line `fleetupdate plugin VERB …`. Answers the exit code, see {@link exitCodes}; never throws. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  const [room, name = '', ...rest] = args
  const verb = room === 'plugin' && Object.hasOwn(verbs, name) ? verbs[name] : undefined
  if (!verb) {
    terminal.print('Usage:')
    for (const { usage, summary } of Object.values(verbs)) terminal.print(`  ${usage}\n      ${summary}`)
    terminal.print(
      'Exit codes: 0 done, 1 done and something was found, 2 not understood, 3 refused or impossible',
    )
    return args.length === 0 || args.includes('--help') ? exitCodes.done : exitCodes.usage
  }
  try {
    return await verb.run(rest, terminal)
  } catch (error) {
    const tell = terminal.note ?? terminal.print
    tell(sentence(error))
    return error instanceof FleetError && error.code === 'FLT_CLI_USAGE' ? exitCodes.usage : exitCodes.refused
  }
}

function sentence(error: unknown): string {
  if (error instanceof FleetError) return `${error.code}: ${error.message}`
  return error instanceof Error ? error.message : String(error)
}
