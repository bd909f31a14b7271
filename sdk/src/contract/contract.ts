import type { Static, TSchema } from 'typebox'

/** What a person may do. Each role includes the ones before it. */
export type Role = 'viewer' | 'operator' | 'admin'

/** One indexed scalar per agent. `null` and `undefined` mean "cannot be told", which is never the same as 0 or false. */
export type FacetValue = string | number | boolean | null | undefined

export type FactSchemas = Readonly<Record<string, TSchema>>

export interface CommandDefinition {
  /** Closed object schema. Default: no input (`{}`). */
  readonly input?: TSchema
  readonly result?: TSchema
  /** The least role that may submit it. Default `operator`. */
  readonly role?: Role
  /** Commands of one lane run serially and in order on an agent; without a lane, in parallel. */
  readonly lane?: string
  /** Counted from the start of the attempt. Default 600. */
  readonly timeoutSeconds?: number
  /** Runs until cancelled; its output is a ring; counts in no statistics. */
  readonly endless?: boolean
  /** `safe-point`: a cancel only takes effect where the executor says so. Default: the processes are ended at once. */
  readonly cancel?: 'safe-point'
  /**
   * What it does to the machine, for the policy of its owner: `observe` changes nothing and never becomes root, `security` closes holes
   * or prepares to; an input that fits `securityWhen` makes it `security`. Default `change`.
   */
  readonly effect?: 'observe' | 'security' | 'change' | { readonly securityWhen: TSchema }
  /** The dashboard asks before it is submitted. */
  readonly dangerous?: boolean
  readonly title?: string
  readonly description?: string
}

export type CommandDefinitions = Readonly<Record<string, CommandDefinition>>

/** Every fact of the contract that is known so far. A fact that was never observed is absent. */
export type KnownFacts<F extends FactSchemas> = { readonly [K in keyof F]?: Static<F[K]> }

export type FacetFunctions<F extends FactSchemas> = Readonly<
  Record<string, (facts: KnownFacts<F>) => FacetValue>
>

/** The whole truth of a capability; made by {@link defineContract}. */
export interface Contract<
  Id extends string = string,
  F extends FactSchemas = FactSchemas,
  C extends CommandDefinitions = CommandDefinitions,
> {
  readonly id: Id
  readonly facts: F
  readonly facets: FacetFunctions<F>
  readonly commands: C
}

/** Any contract, whatever its facts and commands. */
export type AnyContract = Contract<string, any, any>

/**
 * Describes a capability: its facts, facets and commands. From it follow the types on all three sides, validation
 * at both ends, the routes, OpenAPI and permissions.
 *
 * @example
 * export const reboot = defineContract('reboot', {
 *   facts: { required: Type.Boolean() },
 *   facets: { required: (facts) => facts.required },
 *   commands: { schedule: { input: Type.Object({ minutes: Type.Integer() }, { additionalProperties: false }) } },
 * })
 */
export function defineContract<
  const Id extends string,
  const F extends FactSchemas = Record<never, never>,
  const C extends CommandDefinitions = Record<never, never>,
>(
  id: Id,
  definition: { readonly facts?: F; readonly facets?: FacetFunctions<F>; readonly commands?: C },
): Contract<Id, F, C> {
  return {
    id,
    facts: definition.facts ?? ({} as F),
    facets: definition.facets ?? {},
    commands: definition.commands ?? ({} as C),
  }
}

export type FactName<C extends AnyContract> = keyof C['facts'] & string
export type FactValue<C extends AnyContract, K extends FactName<C>> = C['facts'][K] extends TSchema
  ? Static<C['facts'][K]>
  : never
export type CommandName<C extends AnyContract> = keyof C['commands'] & string
export type CommandInput<C extends AnyContract, K extends CommandName<C>> = C['commands'][K] extends {
  readonly input: infer S extends TSchema
}
  ? Static<S>
  : Record<never, never>
export type CommandResult<C extends AnyContract, K extends CommandName<C>> = C['commands'][K] extends {
  readonly result: infer S extends TSchema
}
  ? Static<S>
  : unknown
