import { relative, resolve } from 'node:path'
import { checkPlugin, lockMigrations, readSubject } from '../check/check-plugin.ts'
import { exitCodes } from './exit-codes.ts'
import { readArguments, type Terminal, type Verb } from './verb.ts'

const usage = 'fleetupdate plugin check [FOLDER …] [--lock-migrations]'

/** Holds built plugin folders against the rules and prints one line per broken one; a finding is an exit code of its own. */
export const checkVerb: Verb = {
  usage,
  summary: 'Checks a built plugin against small named rules; each line says how to fix it.',
  async run(args, terminal) {
    const given = readArguments(usage, args, { 'lock-migrations': 'flag' })
    const folders = given.positionals.length > 0 ? given.positionals : ['.']
    let broken = 0
    for (const folder of folders) {
      const path = resolve(terminal.cwd, folder)
      if (given.has('lock-migrations')) await lock(path, terminal)
      broken += await check(path, terminal)
    }
    terminal.print(broken === 0 ? `${folders.length} checked, nothing to fix` : `${broken} to fix`)
    return broken === 0 ? exitCodes.done : exitCodes.finding
  },
}

async function check(path: string, { cwd, print }: Terminal): Promise<number> {
  const name = relative(cwd, path) || '.'
  try {
    const findings = await checkPlugin(await readSubject(path))
    for (const { rule, problem } of findings) print(`${name}: ${rule}: ${problem}`)
    return findings.length
  } catch (error) {
    print(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  }
}

async function lock(path: string, { print }: Terminal): Promise<void> {
  for (const name of await lockMigrations(await readSubject(path))) print(`locked ${name}`)
}
