import { type Static, Type } from '@fleetupdate/sdk'

// Built into plain JSON by build.mjs: nothing here may be a function.

/** The members of `agent:` in the configuration; each is checked by itself, so that an error names its key. */
export const ConfigKeys = {
  id: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' }),
  server_url: Type.String({ pattern: '^https?://[^/?#@\\s]+(/[A-Za-z0-9._~-]+)*/?$' }),
  ca_file: Type.String({ minLength: 1, maxLength: 1024 }),
  psk: Type.String({ minLength: 1, maxLength: 1024 }),
  poll_interval: Type.Integer({ minimum: 5, maximum: 3600 }),
  state_dir: Type.String({ minLength: 1, maxLength: 1024 }),
  executors: Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), { maxItems: 32 }),
  privilege: Type.Enum(['auto', 'direct', 'socket', 'sudo', 'none']),
} as const

export const Apps = Type.Array(Type.Unknown(), { maxItems: 256 })

const Key = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })
const AgentId = ConfigKeys.id
const Kid = Type.String({ pattern: '^[A-Za-z0-9]{1,16}$' })

/** identity.json */
export const StoredIdentity = Type.Object({
  version: Type.Literal(1),
  agentId: AgentId,
  kid: Kid,
  rootKey: Key,
  enrolledAt: Type.String(),
  /** A second key: its exchange is under way, or the server has confirmed it and it was not used yet. */
  next: Type.Optional(Type.Object({ kid: Kid, rootKey: Key, expected: Key, confirmed: Type.Boolean() })),
})
export type StoredIdentity = Static<typeof StoredIdentity>

/** checked-in.json: when a server last let this agent in. */
export const CheckedInFile = Type.Object({
  version: Type.String({ maxLength: 64 }),
  at: Type.String({ maxLength: 40 }),
  serverUrl: Type.String({ maxLength: 1024 }),
  ca: Type.Optional(Type.String({ maxLength: 262_144 })),
})

/** One slot of session-ticket; the higher turn is the newer. */
export const StoredTicket = Type.Object({
  turn: Type.Integer({ minimum: 1 }),
  ticket: Type.String({ maxLength: 200 }),
})
export type StoredTicket = Static<typeof StoredTicket>

const Release = Type.String({ pattern: '^[0-9A-Za-z.+-]{1,64}$' })
const ReleaseId = Type.String({ pattern: '^[0-9a-f]{64}$' })

/** update.json, of root: the update that is on trial. */
export const UpdateTrial = Type.Object({
  id: ReleaseId,
  from: Release,
  to: Release,
  at: Type.String({ maxLength: 40 }),
})
export type UpdateTrial = Static<typeof UpdateTrial>

/** update-outcome.json, of root: how the last update ended. */
export const UpdateOutcome = Type.Object({
  id: ReleaseId,
  /** Empty where nothing was begun. */
  from: Type.String({ maxLength: 64 }),
  to: Type.String({ maxLength: 64 }),
  result: Type.Enum(['updated', 'rolled-back', 'refused']),
  at: Type.String({ maxLength: 40 }),
  reason: Type.Optional(Type.String({ maxLength: 4000 })),
})
export type UpdateOutcome = Static<typeof UpdateOutcome>

/** enrolment.json: an enrolment whose last answer has not come yet. */
export const PendingEnrolment = Type.Object({
  agentId: AgentId,
  secretId: Type.String(),
  enrolmentId: Type.String(),
  kid: Kid,
  agentKey: Key,
  serverKey: Key,
  rootKey: Key,
  confirmation: Key,
})
export type PendingEnrolment = Static<typeof PendingEnrolment>

const Time = Type.String({ format: 'date-time', maxLength: 40 })
const Id = Type.String({ minLength: 1, maxLength: 64 })
const CommandId = Type.String({
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
})

/** request.json: all a runner needs to know about its attempt. */
export const AttemptRequest = Type.Object({
  commandId: CommandId,
  epoch: Type.Integer({ minimum: 1 }),
  plugin: Id,
  command: Id,
  input: Type.Unknown(),
  lane: Type.Optional(Id),
  timeoutSeconds: Type.Integer({ minimum: 1 }),
  endless: Type.Boolean(),
  precondition: Type.Optional(Type.String({ maxLength: 256 })),
  expiresAt: Time,
  startedAt: Time,
  /** Every executor folder of the agent, so that a runner can probe all privileges. */
  executors: Type.Array(Type.String()),
  /** The agent's configuration, beside which the owner's policy lies. */
  config: Type.Optional(Type.String()),
  /** The folder of the executor that runs. */
  folder: Type.String(),
  /** Set for executors that did not come with the agent: they run in a process of their own, apart from the runner. */
  isolated: Type.Optional(
    Type.Object({
      /** SHA-256 of its bundle, and of its module; absent where nobody signed it. */
      bundle: Type.Optional(Type.String()),
      entrySha256: Type.Optional(Type.String()),
      safePoint: Type.Boolean(),
    }),
  ),
  way: Type.Enum(['direct', 'socket', 'sudo', 'none']),
})
export type AttemptRequest = Static<typeof AttemptRequest>

/** result.json: how the attempt ended, as its runner (or the agent, where the runner is gone) saw it. */
export const AttemptEnding = Type.Object({
  state: Type.Enum(['succeeded', 'failed', 'cancelled', 'timed_out', 'interrupted']),
  reason: Type.Optional(Type.String()),
  /** With `failed`: the host refused it before it changed anything. */
  refusal: Type.Optional(Type.Literal('policy')),
  exitCode: Type.Optional(Type.Integer({ minimum: -1024, maximum: 1024 })),
  result: Type.Optional(Type.Unknown()),
  /** How long the output file was at the end: one that is shorter later was damaged. */
  outputSize: Type.Optional(Type.Integer({ minimum: 0 })),
  startedAt: Time,
  finishedAt: Time,
})
export type AttemptEnding = Static<typeof AttemptEnding>

/** progress.json */
export const AttemptProgress = Type.Object({
  percent: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
  message: Type.Optional(Type.String({ maxLength: 500 })),
})
export type AttemptProgress = Static<typeof AttemptProgress>

/** `cancel` */
export const CancelRequest = Type.Object({ force: Type.Boolean() })

/** `claimed`, `agent.lock` and `programs/*`: one process, told apart from a later one with the same number. */
export const ProcessRecord = Type.Object({
  pid: Type.Integer({ minimum: 1 }),
  startTicks: Type.String(),
  bootId: Type.String(),
  bootedAt: Type.Optional(Type.Number()),
  /** Set for programs that a cancel may not end. */
  keep: Type.Optional(Type.Boolean()),
})
export type ProcessRecord = Static<typeof ProcessRecord>

/** tail.json: where reading may begin once the output before it was given back to the disk. */
export const TailPoint = Type.Object({
  raw: Type.Integer({ minimum: 0 }),
  text: Type.Integer({ minimum: 0 }),
})
export type TailPoint = Static<typeof TailPoint>

/** The error answers of a server. */
export const ErrorAnswer = Type.Object({
  code: Type.String({ maxLength: 64 }),
  message: Type.String({ maxLength: 4000 }),
  details: Type.Optional(
    Type.Object({ time: Type.Optional(Time), boot: Type.Optional(Type.String({ maxLength: 64 })) }),
  ),
})
export type ErrorAnswer = Static<typeof ErrorAnswer>

/** One line of the root helper's answers. */
export const HelperAnswer = Type.Object({
  /** The program runs. */
  pid: Type.Optional(Type.Integer({ minimum: 1 })),
  /** It ended; -1 with a signal. */
  exitCode: Type.Optional(Type.Integer({ minimum: -1024, maximum: 1024 })),
  signal: Type.Optional(Type.Union([Type.String({ maxLength: 32 }), Type.Null()])),
  /** What systemd said about a unit that was to start. */
  said: Type.Optional(Type.String({ maxLength: 1000 })),
  refused: Type.Optional(Type.String({ maxLength: 4000 })),
  /** Refused by the owner's policy; `refused` begins with the name of the rule. */
  policy: Type.Optional(Type.Boolean()),
  /** To `probe`, in the order asked. */
  privileges: Type.Optional(
    Type.Array(Type.Object({ ok: Type.Boolean(), missing: Type.Optional(Type.String({ maxLength: 1000 })) })),
  ),
})
export type HelperAnswer = Static<typeof HelperAnswer>

/** One bundle in an answer of the bundle keeper: what may run, or why it may not. */
export const KeptAnswer = Type.Object({
  sha256: Type.String({ maxLength: 64 }),
  id: Type.Optional(Type.String({ maxLength: 64 })),
  version: Type.Optional(Type.String({ maxLength: 64 })),
  publisher: Type.Optional(Type.String({ maxLength: 64 })),
  folder: Type.Optional(Type.String({ maxLength: 4096 })),
  entrySha256: Type.Optional(Type.String({ maxLength: 64 })),
  state: Type.Optional(Type.Enum(['refused', 'modified', 'missing'])),
  reason: Type.Optional(Type.String({ maxLength: 8000 })),
})
export type KeptAnswer = Static<typeof KeptAnswer>

/** An answer of the bundle keeper, or of the root helper that did not ask it. */
export const KeeperAnswer = Type.Object({
  bundles: Type.Optional(Type.Array(KeptAnswer, { maxItems: 1024 })),
  unsigned: Type.Optional(Type.Enum(['refuse', 'allow'])),
  problem: Type.Optional(Type.String({ maxLength: 4000 })),
  failed: Type.Optional(Type.String({ maxLength: 4000 })),
  refused: Type.Optional(Type.String({ maxLength: 4000 })),
})
export type KeeperAnswer = Static<typeof KeeperAnswer>

/** wanted.json: what the server last said it delivers. */
export const StoredWanted = Type.Array(
  Type.Object({
    id: Type.String({ maxLength: 64 }),
    version: Type.String({ maxLength: 64 }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    bytes: Type.Integer({ minimum: 1 }),
  }),
  { maxItems: 256 },
)
