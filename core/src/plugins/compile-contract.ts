import type { AnyContract, CommandDefinition, FacetValue, TSchema } from '@fleetupdate/sdk'
import { contractHash } from '@fleetupdate/sdk/protocol'
import { Compile } from 'typebox/compile'
import { closeSchema } from './close-schema.ts'
import { dropUnknown } from './drop-unknown.ts'
import type { RegisteredCommand, RegisteredContract } from './registry.ts'

export interface CompiledContract {
  readonly contract: RegisteredContract
  readonly commands: ReadonlyMap<string, RegisteredCommand>
}

type Checked = { readonly value: unknown } | { readonly problems: readonly string[] }

/** Makes a contract ready for use: validators compiled once. Throws where a schema is not one, or an input is no object. */
export function compileContract(contract: AnyContract): CompiledContract {
  const facts = new Map(
    Object.entries(contract.facts).map(([name, schema]) => [name, observer(schema as TSchema)]),
  )
  const results = new Map<string, (value: unknown) => Checked>()
  const commands = new Map<string, RegisteredCommand>()
  for (const [name, definition] of Object.entries(contract.commands as Record<string, CommandDefinition>)) {
    if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name))
      throw new Error(`the command name "${name}" is not kebab-case`)
    commands.set(name, registerCommand(contract.id, name, definition))
    if (definition.result) results.set(name, observer(definition.result))
  }
  return {
    commands,
    contract: {
      id: contract.id,
      contract,
      hash: contractHash(contract),
      checkFact: (fact, value) => facts.get(fact)?.(value),
      checkResult: (command, value) => results.get(command)?.(value) ?? { value },
      facets: (known) =>
        Object.fromEntries(
          Object.entries(contract.facets).map(([name, compute]) => [
            `${contract.id}.${name}`,
            facetValue(() => (compute as (facts: unknown) => FacetValue)(known)),
          ]),
        ),
    },
  }
}

function registerCommand(plugin: string, name: string, definition: CommandDefinition): RegisteredCommand {
  const check = definition.input ? Compile(inputSchema(name, definition.input)) : undefined
  return {
    plugin,
    name,
    definition,
    role: definition.role ?? 'operator',
    lane: definition.lane,
    timeoutSeconds: definition.timeoutSeconds ?? 600,
    endless: definition.endless ?? false,
    inputProblems(input) {
      if (!check) return isEmptyObject(input) ? [] : ['takes no input; send {}']
      return check.Check(input)
        ? []
        : check.Errors(input).map((e) => `${e.instancePath || 'input'} ${e.message}`)
    },
  }
}

function inputSchema(name: string, schema: TSchema): TSchema {
  try {
    return closeSchema(schema)
  } catch (error) {
    throw new Error(`the input of "${name}": ${error instanceof Error ? error.message : error}`)
  }
}

/** What an agent says: unknown members are dropped, the rest must fit. */
function observer(schema: TSchema): (value: unknown) => Checked {
  const check = Compile(schema)
  return (value) => {
    const clean = dropUnknown(schema, value)
    if (check.Check(clean)) return { value: clean }
    return {
      problems: check
        .Errors(clean)
        .slice(0, 5)
        .map((e) => `${e.instancePath || 'value'} ${e.message}`),
    }
  }
}

function isEmptyObject(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
  )
}

function facetValue(compute: () => FacetValue): Exclude<FacetValue, undefined> {
  try {
    const value = compute() ?? null
    if (typeof value === 'number') return Number.isFinite(value) ? value : null
    if (typeof value === 'string') return value.slice(0, 256)
    return typeof value === 'boolean' ? value : null
  } catch {
    return null
  }
}
