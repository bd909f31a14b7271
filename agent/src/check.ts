import { Validator } from '@cfworker/json-schema'
import type { Static, TSchema } from '@fleetupdate/sdk'

/** Decides whether an unknown value fits a schema. */
export interface Check<T> {
  accepts(value: unknown): value is T
  /** What does not fit, for people; undefined where all does. */
  problem(value: unknown): string | undefined
}

/** A check against a JSON schema, compiled at its first use. The value must be plain JSON. */
export function createCheck<const S extends TSchema>(schema: S): Check<Static<S>> {
  let validator: Validator | undefined
  const problem = (value: unknown): string | undefined => {
    if (value === undefined) return 'it is missing'
    validator ??= new Validator({ ...schema }, '2020-12')
    const { valid, errors } = validator.validate(value)
    if (valid) return undefined
    const last = errors.at(-1)
    const where = last?.instanceLocation.replace(/^#\/?/, '') ?? ''
    return `${where === '' ? '' : `${where}: `}${last?.error ?? 'it does not fit the schema'}`.replace(
      /\.$/,
      '',
    )
  }
  return { accepts: (value): value is Static<S> => problem(value) === undefined, problem }
}

/** The value of a JSON text, undefined where it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
