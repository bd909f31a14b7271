import { fleetError } from '../errors.ts'
import type { Call } from './verb.ts'

/** A whole number in this range; undefined where the option was not given. Throws FLT_CLI_NUMBER. */
export function wholeNumber(
  call: Pick<Call, 'text'>,
  option: string,
  { least, most }: { readonly least: number; readonly most: number },
): number | undefined {
  const text = call.text(option)
  if (text === undefined) return undefined
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw fleetError('FLT_CLI_NUMBER', { option, least, most, given: text.slice(0, 50) })
}
