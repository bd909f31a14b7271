import type { AnyContract, CommandDefinition, FacetValue, Role } from '@fleetupdate/sdk'

/** One command of an active plugin, ready to be validated and offered. */
export interface RegisteredCommand {
  readonly plugin: string
  readonly name: string
  readonly definition: CommandDefinition
  readonly role: Role
  readonly lane: string | undefined
  readonly timeoutSeconds: number
  readonly endless: boolean
  /** Empty where the input fits the contract; else one line per problem, for people. */
  inputProblems(input: unknown): readonly string[]
}

export interface RegisteredContract {
  readonly id: string
  readonly contract: AnyContract
  readonly hash: string
  /** The value without members the schema does not know, or the problems. `undefined` fact: not of this contract. */
  checkFact(
    fact: string,
    value: unknown,
  ): { readonly value: unknown } | { readonly problems: readonly string[] } | undefined
  /** Same for a command's result. */
  checkResult(
    command: string,
    value: unknown,
  ): { readonly value: unknown } | { readonly problems: readonly string[] }
  /** `<plugin>.<facet>` → value, computed from all facts known of one agent. A facet that throws is null. */
  facets(facts: Readonly<Record<string, unknown>>): Readonly<Record<string, Exclude<FacetValue, undefined>>>
}

/** The contracts of all active plugins, looked up live: plugins come and go while the server runs. */
export interface ContractRegistry {
  contract(plugin: string): RegisteredContract | undefined
  /** Throws FLT_COMMAND_UNKNOWN (404), or FLT_PLUGIN_UNAVAILABLE (503) where the plugin is there but not active. */
  command(name: string): RegisteredCommand
  /** All facets of active plugins by qualified name, with the short name where only one plugin has it. */
  facetNames(): ReadonlyMap<string, { readonly qualified: string }>
  /** Called with the plugin's id after it became active or stopped being so. */
  onChange(handler: (plugin: string) => void): () => void
}
