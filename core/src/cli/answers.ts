import type { Static, TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { fleetError } from '../errors.ts'

/** Makes what checks an answer of a server, which may be another version: only what the verb needs. Throws FLT_CLI_SERVER. */
export function answerOf<S extends TSchema>(schema: S): (value: unknown) => Static<S> {
  let compiled: Validator | undefined
  return (value) => {
    compiled ??= Compile(schema)
    if (compiled.Check(value)) return value as Static<S>
    const [first] = compiled.Errors(value)
    throw fleetError('FLT_CLI_SERVER', {
      server: 'the server',
      problem: `its answer does not fit (${first?.instancePath} ${first?.message}); use the program that came with it`,
    })
  }
}

/** Rows under a heading, in columns as wide as needed. */
export function columns(heading: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [heading, ...rows]
  const widths = heading.map((_, index) => Math.max(...all.map((row) => (row[index] ?? '').length)))
  return all.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
