import { defineContract, type Static, Type } from '@fleetupdate/sdk'

const closed = { additionalProperties: false }
const Version = Type.String({ maxLength: 64 })
const Maybe = <T extends ReturnType<typeof Type.String> | ReturnType<typeof Type.Boolean>>(schema: T) =>
  Type.Union([schema, Type.Null()])

/** Which release runs on a machine, and which one its server hands out. */
export const ReleaseState = Type.Object({
  installed: Version,
  /** null: the server hands none out, or could not be asked. */
  offered: Maybe(Version),
  /** Whether the offered one is newer; null where that cannot be told. */
  newer: Maybe(Type.Boolean()),
  /** Why this machine cannot update itself; null where it can. */
  hindrance: Maybe(Type.String({ maxLength: 1000 })),
  /** The version that ran before and still stands beside it: the one it can go back to. Older executors do not say. */
  before: Type.Optional(Maybe(Version)),
  /** How the last update ended. */
  last: Type.Union([
    Type.Object({
      from: Version,
      to: Version,
      result: Type.Enum(['updated', 'rolled-back', 'refused']),
      at: Type.String({ maxLength: 40 }),
      reason: Type.Optional(Type.String({ maxLength: 4000 })),
    }),
    Type.Null(),
  ]),
})
export type ReleaseState = Static<typeof ReleaseState>

/** What both ways have in common: another release is tried on the machine. */
const step = {
  result: Type.Object({ from: Version, to: Version }),
  lane: 'agent-update',
  timeoutSeconds: 900,
  cancel: 'safe-point',
  dangerous: true,
} as const

/** Brings an agent to the release that its server hands out. */
export const agentUpdate = defineContract('agent-update', {
  facts: { release: ReleaseState },
  facets: {
    behind: ({ release }) => (release?.hindrance === null ? release.newer : undefined),
    installed: ({ release }) => release?.installed,
    offered: ({ release }) => release?.offered ?? undefined,
    updatable: ({ release }) => release && release.hindrance === null,
    before: ({ release }) => release?.before ?? undefined,
    rolledBack: ({ release }) => release && release.last?.result === 'rolled-back',
  },
  commands: {
    install: {
      title: 'Update the agent',
      description:
        'Fetches the signed release from the server and tries it; the old agent comes back where the new one does not reach the server within two minutes. Running commands go on.',
      input: Type.Object(
        { version: Type.Optional(Type.String({ title: 'Only this version', maxLength: 64 })) },
        closed,
      ),
      ...step,
    },
    back: {
      title: 'Put the agent back',
      description:
        'Goes back to the release that ran before on that machine, and tries it the same way. Nothing is fetched. Running commands go on.',
      input: Type.Object(
        { from: Type.Optional(Type.String({ title: 'Only where this version runs', maxLength: 64 })) },
        closed,
      ),
      ...step,
    },
  },
})
