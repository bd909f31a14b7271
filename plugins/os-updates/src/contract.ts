import { defineContract, type Static, Type } from '@fleetupdate/sdk'

const text = (maxLength: number) => Type.String({ maxLength })

/** One package for which a newer version is known, whether or not it can be taken right now. */
export const PendingPackage = Type.Object({
  /** With `:arch` where it is foreign to the host. */
  name: text(200),
  current: text(200),
  candidate: text(200),
  /** Label of the archive that offers the candidate, for example `Debian-Security`; '' where it has none. */
  origin: text(200),
  /** The candidate, or a version between it and the installed one, comes from a security archive. */
  security: Type.Boolean(),
  /** Kept at its version by the operator (`apt-mark hold`). */
  held: Type.Boolean(),
  /** Not rolled out to this host yet by the distribution. */
  phased: Type.Boolean(),
})
export type PendingPackage = Static<typeof PendingPackage>

/** What the package manager says can be updated. */
export const Updates = Type.Object({
  manager: text(32),
  /** Since when every repository has been fetched; null where the index was never fetched. */
  refreshedAt: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
  pending: Type.Array(PendingPackage, { maxItems: 2000 }),
  /** How many further packages are pending that did not fit; a list that was cut begins with the security updates. */
  omitted: Type.Optional(Type.Integer({ minimum: 1 })),
  /** Why "nothing pending" can't be trusted, and what to do: no index, or an old one. */
  problem: Type.Optional(text(500)),
})
export type Updates = Static<typeof Updates>

/** What the host is, and whether it must be rebooted. */
export const System = Type.Object({
  os: text(200),
  kernel: text(200),
  arch: text(64),
  hostname: text(255),
  bootedAt: Type.String({ format: 'date-time' }),
  rebootRequired: Type.Boolean(),
})
export type System = Static<typeof System>

/**
 * Pending updates and the state of the operating system. A facet of pending updates is `undefined` where it can't be told: a
 * positive number is evidence, a zero needs a fresh index.
 */
export const osUpdates = defineContract('os-updates', {
  facts: { updates: Updates, system: System },
  facets: {
    outdated: ({ updates }) => {
      if (updates === undefined || updates.refreshedAt === null) return undefined
      return updates.pending.some(isInstallable) || trusted(updates, false)
    },
    pending: ({ updates }) => total(updates, updates && updates.pending.length + (updates.omitted ?? 0)),
    security: ({ updates }) => total(updates, updates?.pending.filter((item) => item.security).length),
    rebootRequired: ({ system }) => system?.rebootRequired,
    os: ({ system }) => system?.os,
  },
  commands: {
    refresh: {
      title: 'Refresh the package index',
      description: 'Fetches the lists of all configured repositories (apt-get update).',
      input: Type.Object({}, { additionalProperties: false }),
      result: Type.Object({ refreshedAt: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]) }),
      effect: 'security',
      lane: 'packages',
      timeoutSeconds: 1800,
    },
  },
})

function isInstallable(item: PendingPackage): boolean {
  return !item.held && !item.phased
}

function total(updates: Updates | undefined, counted: number | undefined): number | undefined {
  if (updates === undefined || counted === undefined || updates.refreshedAt === null) return undefined
  return counted > 0 ? counted : trusted(updates, 0)
}

function trusted<T>(updates: Updates, value: T): T | undefined {
  return updates.problem === undefined ? value : undefined
}
