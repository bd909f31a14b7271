import { defineContract, type Static, Type } from '@fleetupdate/sdk'

const text = (maxLength: number) => Type.String({ maxLength })

/** What an old agent says about its host, as it says it. */
export const Host = Type.Object({
  agentVersion: text(64),
  os: text(200),
  kernel: text(200),
  arch: text(64),
  hostname: text(255),
  uptimeSeconds: Type.Union([Type.Number(), Type.Null()]),
  /** What it called the state of its updates. */
  status: text(200),
})
export type Host = Static<typeof Host>

/** Agents of the first FleetUpdate, which sign with the shared secret alone. */
export const legacyAgents = defineContract('legacy-agents', {
  facts: { host: Host },
  facets: { weak: ({ host }) => (host === undefined ? undefined : true) },
})
