import type { CommandDefinition } from '../contract/contract.ts'
import { migrationRule } from './migration-lock.ts'
import { panelRoutesRule, sdkVersionRule } from './panel-rules.ts'
import type { Rule } from './rule.ts'
import type { Subject } from './subject.ts'

/** Every rule of `fleetupdate plugin check`, in the order in which they are reported. */
export const rules: readonly Rule[] = [
  { name: 'id-is-folder', problems: idIsFolder },
  { name: 'readme', problems: readme },
  { name: 'inputs-closed', problems: inputsClosed },
  { name: 'results-described', problems: resultsDescribed },
  { name: 'outputs-closed', problems: outputsClosed },
  { name: 'commands-tested', problems: commandsTested },
  { name: 'programs-declared', problems: programsDeclared },
  migrationRule,
  sdkVersionRule,
  panelRoutesRule,
  { name: 'sizes', problems: sizes },
]

function idIsFolder({ name, manifest, contract }: Subject): readonly string[] {
  const problems: string[] = []
  if (name !== manifest.id)
    problems.push(`the folder is "${name}", the id in package.json "${manifest.id}"; name them alike`)
  if (contract.id !== manifest.id)
    problems.push(`the contract has the id "${contract.id}"; write defineContract('${manifest.id}', …)`)
  return problems
}

const headings = ['What it does', 'Commands', 'What it needs']

/** The executor of a built-in capability is described by the README beside its contract. */
function readme({ manifest, readme: text }: Subject): readonly string[] {
  if (manifest.server === undefined) return []
  if (text === undefined) return [`README.md is missing; write one with the headings ${headings.join(', ')}`]
  const found = new Set(text.split('\n').map((line) => line.trim()))
  return headings
    .filter((heading) => !found.has(`## ${heading}`))
    .map((heading) => `README.md lacks the heading; add: ## ${heading}`)
}

function inputsClosed({ contract }: Subject): readonly string[] {
  return commandsOf(contract)
    .filter(([, { input }]) => input !== undefined && !isClosed(input))
    .map(
      ([name]) =>
        `the input of "${name}" takes members nobody named; write Type.Object({ … }, { additionalProperties: false })`,
    )
}

function resultsDescribed({ contract }: Subject): readonly string[] {
  return commandsOf(contract)
    .filter(([, { result, endless }]) => result === undefined && endless !== true)
    .map(
      ([name]) =>
        `the command "${name}" has no result schema; add result: Type.Object({ … }) to the contract`,
    )
}

/** Hosts drop members that facts and results do not name; only what lets anything through is a fault. */
function outputsClosed({ contract }: Subject): readonly string[] {
  const facts = Object.entries(contract.facts).map(
    ([name, schema]) => [`the fact "${name}"`, schema] as const,
  )
  const results = commandsOf(contract).flatMap(([name, { result }]) =>
    result === undefined ? [] : [[`the result of "${name}"`, result] as const],
  )
  return [...facts, ...results]
    .filter(([, schema]) => isOpen(schema))
    .map(
      ([what]) =>
        `${what} lets anything through; name its members, and leave additionalProperties away or false`,
    )
}

function commandsTested({ contract, sources, manifest }: Subject): readonly string[] {
  if (manifest.executor === undefined) return []
  const tests = [...sources].filter(([file]) => /\.test\.[jt]s$/.test(file)).map(([, text]) => text)
  return commandsOf(contract)
    .filter(([name]) => !tests.some((text) => mentions(text, name)))
    .map(
      ([name]) =>
        `no test tries the command "${name}"; add { commands: { '${name}': { input: … } } } to testExecutor`,
    )
}

function programsDeclared({ manifest, sources }: Subject): readonly string[] {
  const declared = new Set([
    ...(manifest.programs ?? []),
    ...(manifest.privileges ?? []).flatMap(({ program }) => [program, program.split('/').at(-1)]),
  ])
  const problems: string[] = []
  for (const [file, text] of sources) {
    if (!/\.[jt]s$/.test(file) || /\.test\.[jt]s$/.test(file)) continue
    for (const [, program = ''] of text.matchAll(/\brun\(\s*['"`]([^'"`]+)['"`]/g))
      if (!declared.has(program))
        problems.push(`${file} runs "${program}"; add it to "programs" in package.json`)
  }
  return [...new Set(problems)]
}

/** kB; what a host loads in a moment and a browser in a blink. */
const limits: readonly (readonly [pattern: RegExp, kB: number])[] = [
  [/^dist\/server\.js$/, 2048],
  [/^dist\/executor\.js$/, 512],
  [/^dist\/panel\/.*\.js$/, 512],
]

function sizes({ built }: Subject): readonly string[] {
  return [...built].flatMap(([file, bytes]) => {
    const limit = limits.find(([pattern]) => pattern.test(file))?.[1]
    return limit !== undefined && bytes > limit * 1024
      ? [
          `${file} has ${Math.round(bytes / 1024)} kB, more than ${limit}; import less, or leave data out of the bundle`,
        ]
      : []
  })
}

function commandsOf({ commands }: Subject['contract']): readonly (readonly [string, CommandDefinition])[] {
  return Object.entries<CommandDefinition>(commands)
}

/** Also the members of a union, and the objects inside objects. */
function isClosed(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return true
  if (Array.isArray(schema)) return schema.every(isClosed)
  if ('type' in schema && schema.type === 'object' && 'properties' in schema)
    if (!('additionalProperties' in schema) || schema.additionalProperties !== false) return false
  return Object.entries(schema).every(([key, value]) => data.has(key) || isClosed(value))
}

/** A schema without any limit (`Type.Unknown()`, `Type.Any()`), an object without members, or one that takes more than it names. */
function isOpen(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return schema !== false
  const { type, properties, items, additionalProperties, patternProperties } = schema as JsonSchema
  const choices = ['anyOf', 'oneOf', 'allOf'].flatMap(
    (key) => Object.entries(schema).find(([name]) => name === key)?.[1] ?? [],
  )
  if (choices.length > 0) return choices.some(isOpen)
  if (type === 'array') return items === undefined || isOpen(items)
  if (type !== 'object') return type === undefined && !('const' in schema) && !('enum' in schema)
  if (additionalProperties === true) return true
  const inner = [properties, patternProperties].flatMap((members) => Object.values(members ?? {}))
  if (typeof additionalProperties === 'object') inner.push(additionalProperties)
  return (properties === undefined && inner.length === 0) || inner.some(isOpen)
}

interface JsonSchema {
  readonly type?: unknown
  readonly properties?: object
  readonly patternProperties?: object
  readonly additionalProperties?: unknown
  readonly items?: unknown
}

/** Members of a schema that are data, not schemas. */
const data: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples'])

/** As a member (`.name`, `['name']`, `name:`) or in full (`id.name`). */
function mentions(text: string, command: string): boolean {
  const name = command.replace(/[^a-z0-9-]/gi, '')
  return new RegExp(`(\\.${name}\\b|['"\`]${name}['"\`]|\\b${name}\\s*:)`).test(text)
}
