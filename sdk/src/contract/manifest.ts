import { type Static, Type } from 'typebox'

const idPattern = '^[a-z][a-z0-9]*(-[a-z0-9]+)*$'

/** One argument of a privileged start: the exact text, or a pattern for one argument, or for all that remain. */
export const ArgumentRule = Type.Union([
  Type.String({ maxLength: 4096 }),
  Type.Object({ pattern: Type.String({ maxLength: 512 }) }, { additionalProperties: false }),
  Type.Object(
    {
      rest: Type.String({ maxLength: 512 }),
      max: Type.Optional(Type.Integer({ minimum: 1, maximum: 2000 })),
    },
    { additionalProperties: false },
  ),
])
export type ArgumentRule = Static<typeof ArgumentRule>

/** One thing an executor must do as root: the program, its exact arguments, its environment, and why. */
export const Privilege = Type.Object(
  {
    id: Type.String({ pattern: idPattern, maxLength: 64 }),
    reason: Type.String({ maxLength: 500 }),
    program: Type.String({ pattern: '^/', maxLength: 256 }),
    args: Type.Array(ArgumentRule, { maxItems: 64 }),
    env: Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: 1024 }))),
    /** What it does to the machine, in the words of a command's `effect`. Default `change`. The host's policy counts by it. */
    effect: Type.Optional(Type.Enum(['observe', 'security', 'change'])),
    /** The commands it is for: where the host's policy allows none of them, it is refused. Default: all. */
    commands: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64 })),
  },
  { additionalProperties: false },
)
export type Privilege = Static<typeof Privilege>

const Panel = Type.Object(
  {
    module: Type.String(),
    styles: Type.Optional(Type.Array(Type.String())),
    slots: Type.Array(Type.String()),
    title: Type.String(),
  },
  { additionalProperties: false },
)

/**
 * The `fleetupdate` key of a package.json: what a plugin is and asks for, read without running its code. All paths are relative to
 * the package and stay inside it.
 */
export const Manifest = Type.Object(
  {
    id: Type.String({ pattern: idPattern, maxLength: 64 }),
    /** The least version of the sdk's interface it needs, like `1.0`; see {@link sdkVersion}. */
    sdk: Type.String({ pattern: '^[0-9]+(\\.[0-9]+)*$' }),
    title: Type.Optional(Type.String({ maxLength: 100 })),
    description: Type.Optional(Type.String({ maxLength: 500 })),
    server: Type.Optional(Type.String({ maxLength: 200 })),
    executor: Type.Optional(Type.String({ maxLength: 200 })),
    panel: Type.Optional(Panel),
    /** Not active until an admin enables it. */
    offByDefault: Type.Optional(Type.Boolean()),
    dependsOn: Type.Optional(Type.Array(Type.String({ pattern: idPattern }), { maxItems: 32 })),
    privileges: Type.Optional(Type.Array(Privilege, { maxItems: 64 })),
    /** Absolute paths or bare names of the programs the executor may run unprivileged. */
    programs: Type.Optional(Type.Array(Type.String({ maxLength: 256 }), { maxItems: 64 })),
    /** Files and folders the executor reads. Told to the operator; enforced for third-party executors by the sandbox. */
    paths: Type.Optional(Type.Array(Type.String({ maxLength: 512 }), { maxItems: 64 })),
    /** Whether the executor itself dials out. Told to the operator; a third-party executor has no network without it. */
    network: Type.Optional(Type.Boolean()),
    /** Exact root paths the server part serves, for example `/api/metrics` or `/api/commands/:id/stream`. */
    routes: Type.Optional(Type.Array(Type.String({ pattern: '^/', maxLength: 200 }), { maxItems: 32 })),
  },
  { additionalProperties: false },
)
export type Manifest = Static<typeof Manifest>
