import type { Statement } from './statement.ts'

/** One publisher a host trusts, as its root-owned trust file says. */
export interface TrustedPublisher {
  readonly name: string
  /** Raw Ed25519 public key, base64url. */
  readonly key: string
  /** Ids it may publish; `acme-*` stands for all that begin so. */
  readonly plugins: readonly string[]
  /** Whether its plugins may ask for privileges. */
  readonly privileges?: boolean
  readonly revoked?: boolean
}

export interface TrustQuestion {
  readonly publishers: readonly TrustedPublisher[]
  /** Of this plugin on this host; 0 where none was seen. */
  readonly highestCounter: number
  readonly nowMs: number
}

/** Why a host does not take a bundle whose signature is right, as the end of a sentence; undefined where it does. Pure. */
export function trustProblem(statement: Statement, question: TrustQuestion): string | undefined {
  const publisher = question.publishers.find(({ key }) => key === statement.publisher)
  if (!publisher) return 'its publisher is not in the trust file of this host'
  if (publisher.revoked) return `the key of ${publisher.name} was revoked`
  if (!publisher.plugins.some((pattern) => covers(pattern, statement.id)))
    return `${publisher.name} is not trusted with the name "${statement.id}"`
  if (statement.counter < question.highestCounter)
    return `it is older (${statement.counter}) than what this host has seen (${question.highestCounter})`
  if (Date.parse(statement.expiresAt) <= question.nowMs) return `it expired at ${statement.expiresAt}`
  if ((statement.manifest.privileges ?? []).length > 0 && publisher.privileges !== true)
    return `${publisher.name} is not trusted with privileges, and it asks for some`
  return undefined
}

function covers(pattern: string, id: string): boolean {
  return pattern.endsWith('*') ? id.startsWith(pattern.slice(0, -1)) : pattern === id
}
