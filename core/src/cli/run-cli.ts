import { FleetError } from '@fleetupdate/sdk'
import { readConfig } from '../config-load.ts'
import { fleetError } from '../errors.ts'
import { type Arguments, readArguments } from './arguments.ts'
import { readEnvironment } from './env-file.ts'
import { nounHelp, overview, usageOf, verbHelp } from './help.ts'
import { nouns } from './nouns.ts'
import { type Call, exitCodes, isVerb, type Outcome, type Verb, type World } from './verb.ts'

/**
 * The program `fleetupdate` on the server's machine. Without a noun it serves, so that `main.js --port 9000` stays what it was. Answers
 * the exit code and never throws: what is refused is one line with its code, with `--json` one JSON object.
 */
export async function runCli(args: readonly string[], world: World): Promise<number> {
  try {
    return await choose(args, world)
  } catch (error) {
    const refusal = error instanceof FleetError ? error : undefined
    if (args.includes('--json') && refusal) world.print(JSON.stringify({ error: refusal.toJSON() }))
    else if (refusal) world.note(`${refusal.code}: ${refusal.message}`)
    else world.note(`FLT_INTERNAL: ${error instanceof Error ? error.stack : String(error)}`)
    return refusal && usageCodes.has(refusal.code) ? exitCodes.usage : exitCodes.refused
  }
}

const usageCodes = new Set(['FLT_CLI_USAGE', 'FLT_CONFIG_INVALID'])

async function choose(args: readonly string[], world: World): Promise<number> {
  const [first = '', ...rest] = args
  if (first === 'help' || first === '--help' || first === '-h') return say(world, overview(nouns))
  if (first === '--version') return choose(['version', ...rest], world)
  if (first === '' || first.startsWith('-')) return choose(['serve', ...args], world)
  const noun = Object.hasOwn(nouns, first) ? nouns[first] : undefined
  if (!noun) throw usage(`There is no "${first}"`, `fleetupdate ${Object.keys(nouns).join('|')} …`)
  if (isVerb(noun)) return runVerb([first], noun, rest, world)
  const [name = '', ...more] = rest
  if (name === 'help' || name === '--help' || name === '-h') return say(world, nounHelp(first, noun))
  const verb = Object.hasOwn(noun.verbs, name) ? noun.verbs[name] : undefined
  if (noun.elsewhere?.verbs.includes(name)) return noun.elsewhere.run(rest, world)
  const known = `fleetupdate ${first} ${Object.keys(noun.verbs).join('|')} …`
  if (!verb) throw usage(name === '' ? 'The verb is missing' : `There is no "${first} ${name}"`, known)
  return runVerb([first, name], verb, more, world)
}

async function runVerb(
  words: readonly string[],
  verb: Verb,
  args: readonly string[],
  world: World,
): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) return say(world, verbHelp(words, verb))
  const given = readArguments(verb, args)
  if (typeof given === 'string') throw usage(given, usageOf(words, verb))
  const { lines, json, exitCode = exitCodes.done } = await verb.run(callOf(given, world))
  if (!given.flags.has('json')) show(world, lines)
  else if (json !== undefined) world.print(visible(JSON.stringify(json, null, 2)))
  return exitCode
}

function callOf({ operands, texts, flags, settings }: Arguments, world: World): Call {
  return {
    world,
    operand: (name) => operands.get(name) ?? '',
    text: (option) => texts.get(option),
    has: (flag) => flags.has(flag),
    config: () => readConfig({ ...readEnvironment(texts.get('env-file'), world), ...settings }),
  }
}

function say(world: World, lines: Outcome['lines']): number {
  show(world, lines)
  return exitCodes.done
}

function show(world: World, lines: Outcome['lines']): void {
  for (const line of lines) world.print(visible(line))
}

/** Answers quote what agents and strangers sent: no control character of theirs may reach a terminal. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (sign) =>
    sign === '\n' ? sign : `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function usage(problem: string, form: string): FleetError {
  return fleetError('FLT_CLI_USAGE', { problem, usage: form })
}
