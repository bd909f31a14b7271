import { defineContract, type Static, Type } from '@fleetupdate/sdk'

/** Whether each privilege that the installed executors declare works without a password. */
export const Privileges = Type.Array(
  Type.Object({
    id: Type.String({ maxLength: 64 }),
    plugin: Type.String({ maxLength: 64 }),
    ok: Type.Boolean(),
    /** The exact line or step that is missing. */
    missing: Type.Optional(Type.String({ maxLength: 2000 })),
  }),
  { maxItems: 1000 },
)
export type Privileges = Static<typeof Privileges>

/** Tells whether the agent can do as root what its executors need, and what is missing where it can't. */
export const sudoCheck = defineContract('sudo-check', {
  facts: { privileges: Privileges },
  facets: {
    ok: ({ privileges }) =>
      privileges === undefined || privileges.length === 0
        ? undefined
        : privileges.every((privilege) => privilege.ok),
  },
  commands: {
    check: {
      title: 'Check privileges',
      description: 'Probes every privilege anew, and names the line that is missing.',
      input: Type.Object({}, { additionalProperties: false }),
      result: Type.Object({ ok: Type.Boolean(), privileges: Privileges }),
      effect: 'observe',
      timeoutSeconds: 120,
    },
  },
})
