import { defineContract, type Static, Type } from '@fleetupdate/sdk'

const version = Type.String({ maxLength: 200 })

/** A Debian package name, with `:arch` where it is foreign. It can't end in `-`, which apt reads as "remove". */
export const packageName = '^[a-z0-9][a-z0-9+.-]*[a-z0-9+](:[a-z0-9]+)?$'

/** What to upgrade: everything, what a security archive fixes, or the named packages. */
export const UpgradeInput = Type.Object(
  {
    mode: Type.Union([Type.Literal('all'), Type.Literal('security'), Type.Literal('selected')]),
    /** With mode `selected`, and only there. Never installs what is not installed yet. */
    packages: Type.Optional(
      Type.Array(Type.String({ pattern: packageName, maxLength: 200 }), { maxItems: 1000 }),
    ),
  },
  { additionalProperties: false },
)
export type UpgradeInput = Static<typeof UpgradeInput>

/** One package that changes; `from` is null where it is installed anew, as a dependency. */
export const PackageChange = Type.Object({
  name: Type.String({ maxLength: 200 }),
  from: Type.Union([version, Type.Null()]),
  to: version,
  security: Type.Optional(Type.Boolean()),
})
export type PackageChange = Static<typeof PackageChange>

/**
 * A package with a newer version that stays: held by the operator, phased by the distribution, kept by its dependencies, or excluded (itself or what
 * would come along with it) by the policy of its machine.
 */
export const KeptPackage = Type.Object({
  name: Type.String({ maxLength: 200 }),
  reason: Type.Union([
    Type.Literal('held'),
    Type.Literal('phased'),
    Type.Literal('dependencies'),
    Type.Literal('policy'),
  ]),
})
export type KeptPackage = Static<typeof KeptPackage>

/** What would change (`plan`), or what really changed (`run`). */
export const UpgradeResult = Type.Object({
  packages: Type.Array(PackageChange),
  /** Names the plan; given as `precondition` of a run, it must still hold when the run starts. */
  planHash: Type.String({ maxLength: 100 }),
  kept: Type.Optional(Type.Array(KeptPackage)),
})
export type UpgradeResult = Static<typeof UpgradeResult>

/** Plans and takes upgrades with apt; never removes a package. */
export const aptUpgrade = defineContract('apt-upgrade', {
  commands: {
    plan: {
      title: 'Plan an upgrade',
      description: 'Simulates the upgrade and says what would change. Changes nothing.',
      input: UpgradeInput,
      result: UpgradeResult,
      effect: 'observe',
      lane: 'packages',
      timeoutSeconds: 600,
    },
    run: {
      title: 'Upgrade packages',
      description: 'Repairs an interrupted dpkg, downloads, then installs. Stops only between these steps.',
      input: UpgradeInput,
      result: UpgradeResult,
      effect: { securityWhen: Type.Object({ mode: Type.Literal('security') }) },
      lane: 'packages',
      timeoutSeconds: 3600,
      cancel: 'safe-point',
      dangerous: true,
    },
  },
})
