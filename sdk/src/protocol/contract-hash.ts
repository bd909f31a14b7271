import { createHash } from 'node:crypto'
import type { AnyContract } from '../contract/contract.ts'

/** The first 16 hex digits of SHA-256 over the contract's facts and commands as canonical JSON; both sides compare it. */
export function contractHash(contract: AnyContract): string {
  const { id, facts, commands } = contract
  return createHash('sha256').update(canonicalJson({ id, facts, commands })).digest('hex').slice(0, 16)
}

/** JSON with sorted keys and without spaces, so that equal values have equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null'
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`)
  return `{${members.join(',')}}`
}
