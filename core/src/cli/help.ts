import { commonOptions } from './arguments.ts'
import { isVerb, type Noun, type NounOfVerbs, type Option, type Verb } from './verb.ts'

/** How one verb is called, on one line: `fleetupdate agent invite ID [--hours N]`. */
export function usageOf(words: readonly string[], { operands = [], options = {} }: Verb): string {
  return [
    'fleetupdate',
    ...words,
    ...operands.map(({ name, isOptional }) => (isOptional ? `[${name}]` : name)),
    ...Object.entries(options).map(([name, option]) => `[${optionForm(name, option)}]`),
  ].join(' ')
}

/** `--role viewer|operator|admin`, `--out FILE`, `--yes`. */
export function optionForm(name: string, { value, choices }: Option): string {
  if (value === undefined) return `--${name}`
  return `--${name} ${choices?.join('|') ?? value}`
}

/** What the program can do. */
export function overview(nouns: Readonly<Record<string, Noun>>): readonly string[] {
  const lines = Object.entries(nouns).flatMap(([name, noun]): [string, string][] =>
    isVerb(noun)
      ? [[usageOf([name], { ...noun, options: {} }), noun.summary]]
      : [[`fleetupdate ${name} ${Object.keys(noun.verbs).join('|')}`, noun.summary]],
  )
  return [
    'FleetUpdate, on the machine of the server.',
    '',
    ...table(lines),
    '',
    'Help with examples: fleetupdate NOUN --help, fleetupdate NOUN VERB --help',
    'Every verb takes --json, and ends with 0 done, 1 something was found, 2 not understood, 3 refused.',
  ]
}

/** The verbs of one noun. */
export function nounHelp(name: string, noun: NounOfVerbs): readonly string[] {
  const lines = Object.entries(noun.verbs).map(([verb, entry]): [string, string] => [
    usageOf([name, verb], { ...entry, options: {} }),
    entry.summary,
  ])
  const { elsewhere } = noun
  if (elsewhere) lines.push([`fleetupdate ${name} ${elsewhere.verbs.join('|')}`, elsewhere.summary])
  return [noun.summary, '', ...table(lines), '', `More: fleetupdate ${name} VERB --help`]
}

/** One verb, with its options and examples. */
export function verbHelp(words: readonly string[], verb: Verb): readonly string[] {
  const { operands = [], options = {}, details = [], examples } = verb
  const named = operands.map(({ name, summary }): [string, string] => [name, summary])
  const all = Object.entries({ ...options, ...commonOptions })
  const optional = all.map(([name, option]): [string, string] => [optionForm(name, option), option.summary])
  return [
    `${verb.summary}.`,
    '',
    `Usage: ${usageOf(words, verb)}`,
    ...(details.length > 0 ? ['', ...details] : []),
    '',
    ...table([...named, ...optional]),
    ...(examples.length > 0 ? ['', 'Examples:'] : []),
    ...examples.map((example) => `  fleetupdate ${[...words, example].join(' ')}`.trimEnd()),
  ]
}

function table(rows: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.min(44, Math.max(0, ...rows.map(([left]) => left.length)))
  return rows.flatMap(([left, right]) =>
    left.length > width
      ? [`  ${left}`, `  ${''.padEnd(width)}  ${right}`]
      : [`  ${left.padEnd(width)}  ${right}`],
  )
}
