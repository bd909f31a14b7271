import { Validator } from '@cfworker/json-schema'

/**
 * Stands in for `typebox/compile` in programs of the agent (build.mjs): the same checks of the same schemas, without the library and without making
 * code at run time.
 */
export function Compile(schema: object): {
  Check(value: unknown): boolean
  Errors(value: unknown): { instancePath: string; message: string }[]
} {
  const validator = new Validator({ ...schema }, '2020-12')
  return {
    Check: (value) => value !== undefined && validator.validate(value).valid,
    Errors: (value) =>
      validator
        .validate(value ?? null)
        .errors.slice(-1)
        .map(({ instanceLocation, error }) => ({
          instancePath: instanceLocation.replace(/^#/, ''),
          message: error,
        })),
  }
}
