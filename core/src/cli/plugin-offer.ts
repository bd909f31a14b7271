import { type Static, Type } from 'typebox'
import { answerOf } from './answers.ts'

const Offer = Type.Object({
  id: Type.String(),
  version: Type.String(),
  title: Type.String(),
  replaces: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  expiresAt: Type.String(),
  sha256: Type.String(),
  publisher: Type.Object({ keyId: Type.String() }),
  asksFor: Type.Record(Type.String(), Type.Array(Type.Unknown())),
})
export type Offer = Static<typeof Offer>

/** What a server says of a bundle that it did not install yet. */
export const readOffer = answerOf(Offer)

/** The same for the person who decides. */
export function describeOffer({
  id,
  version,
  title,
  replaces,
  expiresAt,
  publisher,
  asksFor,
}: Offer): readonly string[] {
  return [
    `${title} (${id} ${version})${replaces ? `, replaces ${replaces}` : ''}`,
    `signed by ${publisher.keyId}, expires ${expiresAt}`,
    ...Object.entries(asksFor).flatMap(([kind, wanted]) => [
      `${kind}:${wanted.length === 0 ? ' none' : ''}`,
      ...wanted.map((item) => `  ${typeof item === 'string' ? item : asRoot(item)}`),
    ]),
  ]
}

function asRoot(item: unknown): string {
  const {
    program,
    reason,
    args = [],
  } = (item ?? {}) as {
    program?: unknown
    reason?: unknown
    args?: readonly unknown[]
  }
  if (program === undefined) return JSON.stringify(item)
  return `as root: ${program} ${args.map((arg) => JSON.stringify(arg)).join(' ')} (${reason})`
}
