import { parseArgs } from 'node:util'
import { settingList } from '../settings.ts'
import type { Option, Verb } from './verb.ts'

/** The arguments of one verb, read strictly. */
export interface Arguments {
  readonly operands: ReadonlyMap<string, string>
  readonly texts: ReadonlyMap<string, string>
  readonly flags: ReadonlySet<string>
  /** Settings of the server given as arguments, by their names. */
  readonly settings: Readonly<Record<string, string>>
}

/** What every verb understands, beside the settings of the server that are not secret. */
export const commonOptions: Readonly<Record<string, Option>> = {
  json: { summary: 'Print the answer as one JSON value, for programs' },
  help: { summary: 'Explain this and end' },
  'env-file': {
    value: 'FILE',
    summary: 'Read settings from here that the environment does not have (installed: /opt/orchestrator/.env)',
  },
}

const settingOf = new Map(
  settingList.filter(({ isSecret }) => !isSecret).map((each) => [each.argument, each]),
)

/** Answers the arguments, or a sentence that says what does not fit. */
export function readArguments(verb: Verb, args: readonly string[]): Arguments | string {
  const known = { ...commonOptions, ...verb.options }
  const names = new Set([...Object.keys(known), ...settingOf.keys()])
  const options = Object.fromEntries(
    [...names].map((name) => [name, { type: isFlag(known[name], name) ? 'boolean' : 'string' } as const]),
  )
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
    const texts = new Map<string, string>()
    const settings: Record<string, string> = {}
    for (const [name, value] of Object.entries(values)) {
      if (typeof value !== 'string') continue
      const { choices } = known[name] ?? {}
      if (choices && !choices.includes(value)) return `--${name} is one of ${choices.join(', ')}`
      const setting = known[name] ? undefined : settingOf.get(name)
      if (setting) settings[setting.name] = value
      else texts.set(name, value)
    }
    const flags = new Set(Object.keys(values).filter((name) => values[name] === true))
    const operands = readOperands(verb, positionals)
    return typeof operands === 'string' ? operands : { operands, texts, flags, settings }
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).split('. ')[0] ?? ''
  }
}

function readOperands(
  { operands = [] }: Verb,
  given: readonly string[],
): ReadonlyMap<string, string> | string {
  const missing = operands.find(({ isOptional }, index) => !isOptional && given[index] === undefined)
  if (missing) return `${missing.name} is missing: ${missing.summary}`
  const tooMany = given[operands.length]
  if (tooMany !== undefined) return `"${tooMany}" is one word too many`
  return new Map(operands.map(({ name }, index) => [name, given[index] ?? '']))
}

function isFlag(option: Option | undefined, name: string): boolean {
  return option ? option.value === undefined : !settingOf.has(name)
}
