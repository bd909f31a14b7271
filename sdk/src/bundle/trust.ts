import type { Manifest } from '../contract/manifest.ts'
import type { Statement } from './statement.ts'

/** One publisher a host trusts, as its root-owned trust file says. */
export interface TrustedPublisher {
  readonly name: string
  /** Raw Ed25519 public key, base64url. */
  readonly key: string
  /** Ids it may publish; `acme-*` stands for all that begin so. */
  readonly plugins: readonly string[]
  /** Whether its plugins may ask for privileges; a list: only to start these programs. */
  readonly privileges?: boolean | readonly string[]
  /** Whether its plugins may dial out. */
  readonly network?: boolean
  /** Where given, its plugins may ask to read only these files and folders, and what is below them. */
  readonly paths?: readonly string[]
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
  return demandProblem(statement.manifest, publisher)
}

/** Why it asks for more than its publisher is trusted with. */
function demandProblem(manifest: Manifest, publisher: TrustedPublisher): string | undefined {
  const { name, privileges = false, network = false, paths } = publisher
  const asked = (manifest.privileges ?? []).map(({ program }) => program)
  if (asked.length > 0 && privileges === false)
    return `${name} is not trusted with privileges, and it asks for some`
  const program = typeof privileges === 'object' ? asked.find((one) => !privileges.includes(one)) : undefined
  if (program !== undefined) return `${name} is not trusted to start ${program} as root, and it asks to`
  if (manifest.network === true && !network)
    return `${name} is not trusted with the network, and it asks for it`
  const path = paths && manifest.paths?.find((one) => !paths.some((allowed) => isBelow(one, allowed)))
  if (path !== undefined) return `${name} is not trusted to read ${path}, and it asks to`
  return undefined
}

function isBelow(path: string, folder: string): boolean {
  return !path.split('/').includes('..') && (path === folder || path.startsWith(folder.replace(/\/*$/, '/')))
}

function covers(pattern: string, id: string): boolean {
  return pattern.endsWith('*') ? id.startsWith(pattern.slice(0, -1)) : pattern === id
}
