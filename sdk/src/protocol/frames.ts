import { type Static, type TProperties, type TSchema, Type } from 'typebox'

const Id = Type.String({ minLength: 1, maxLength: 64 })
const CommandId = Type.String({
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
})
const Epoch = Type.Integer({ minimum: 1, maximum: 1_000_000 })
const Offset = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Time = Type.String({ format: 'date-time', maxLength: 40 })
const Reason = Type.String({ maxLength: 4000 })
/** Opaque to agents. */
const Ticket = Type.String({ minLength: 1, maxLength: 200 })
const Kid = Type.String({ pattern: '^[A-Za-z0-9]{1,16}$' })
/** 32 bytes, base64url: a public X25519 key or an HMAC. */
const Bytes32 = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })

/** Open on purpose: within a major version frames only gain optional fields, and a reader drops what it does not know. */
const frame = <const T extends string, P extends TProperties>(type: T, properties: P) =>
  Type.Object({ type: Type.Literal(type), ...properties })

export const FactItem = Type.Object({
  plugin: Id,
  fact: Id,
  /** Absent where `error` is set and nothing was ever observed. */
  value: Type.Optional(Type.Unknown()),
  error: Type.Optional(Reason),
  observedAt: Time,
  revision: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
})
export type FactItem = Static<typeof FactItem>

export const ExecutorReport = Type.Object({
  id: Id,
  version: Type.String({ maxLength: 64 }),
  contractHash: Type.String({ maxLength: 64 }),
  health: Type.Union([Type.Literal('ok'), Type.Literal('failed')]),
  reason: Type.Optional(Reason),
  /** Why the host lets it run, or not; absent where the agent does not tell. */
  trust: Type.Optional(Type.Enum(['built-in', 'signed', 'unsigned', 'modified', 'refused'])),
  /** Who signed it, by the name that the host's trust file gives the key. */
  publisher: Type.Optional(Id),
})
export type ExecutorReport = Static<typeof ExecutorReport>

/** An executor that the server has for its agents, as a bundle that its publisher signed. */
export const WantedExecutor = Type.Object({
  id: Id,
  version: Type.String({ maxLength: 64 }),
  /** Of the bundle; also its address: GET /api/agent/bundles/<sha256>. */
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  bytes: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
})
export type WantedExecutor = Static<typeof WantedExecutor>

/** Every executor the server delivers. What is not among them is no longer wanted. */
export const WantedExecutors = Type.Object({
  items: Type.Array(WantedExecutor, { maxItems: 256 }),
  /** Fetch after a random time of at most so many seconds: a whole fleet hears of it at once. */
  spreadSeconds: Type.Integer({ minimum: 0, maximum: 3600 }),
})
export type WantedExecutors = Static<typeof WantedExecutors>

/** An attempt the agent still has to say something about. */
export const AttemptReport = Type.Object({
  commandId: CommandId,
  epoch: Epoch,
  startedAt: Time,
})

export const AgentFrame = {
  hello: frame('hello', {
    protocol: Type.Integer({ minimum: 1, maximum: 1000 }),
    agentVersion: Type.String({ maxLength: 64 }),
    /** Of the host's kernel: a new one means that it was rebooted. */
    bootId: Type.String({ maxLength: 64 }),
    executors: Type.Array(ExecutorReport, { maxItems: 256 }),
    attempts: Type.Array(AttemptReport, { maxItems: 1024 }),
    apps: Type.Optional(Type.Array(Type.Unknown(), { maxItems: 256 })),
    /** The last one it stored, '' where it has none yet; absent where the agent knows no tickets. */
    ticket: Type.Optional(Type.String({ maxLength: 200 })),
  }),
  /** The ticket is on the agent's stable storage. */
  ticket: frame('ticket', { ticket: Ticket }),
  rekey: frame('rekey', {
    kid: Kid,
    /** Absent where the agent does not have the key of that name: start anew. */
    key: Type.Optional(Bytes32),
    confirmation: Type.Optional(Bytes32),
  }),
  facts: frame('facts', { items: Type.Array(FactItem, { minItems: 1, maxItems: 256 }) }),
  accept: frame('accept', { commandId: CommandId, epoch: Epoch, startedAt: Time }),
  reject: frame('reject', {
    commandId: CommandId,
    epoch: Epoch,
    /** `busy` and `expired` are no verdict on the command: it is offered again while it may still start. */
    kind: Type.Enum([
      'policy',
      'signature',
      'schema',
      'precondition',
      'unavailable',
      'cancelled',
      'busy',
      'expired',
      'stale',
    ]),
    reason: Reason,
    /** Of the offer that this answers: an answer to an earlier one says nothing about the last. */
    notAfter: Type.Optional(Time),
  }),
  progress: frame('progress', {
    commandId: CommandId,
    epoch: Epoch,
    percent: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
    message: Type.Optional(Type.String({ maxLength: 500 })),
  }),
  output: frame('output', {
    commandId: CommandId,
    epoch: Epoch,
    offset: Offset,
    /** Where the next chunk begins: offset + bytes of the text, or more where the text is a marker for what was dropped. */
    end: Offset,
    text: Type.String({ maxLength: 65536 }),
  }),
  result: frame('result', {
    commandId: CommandId,
    epoch: Epoch,
    state: Type.Enum(['succeeded', 'failed', 'cancelled', 'timed_out', 'interrupted']),
    reason: Type.Optional(Reason),
    /** With `failed`: the host's policy refused it before it changed anything. The command is then `rejected`, not failed. */
    refusal: Type.Optional(Type.Literal('policy')),
    exitCode: Type.Optional(Type.Integer({ minimum: -1024, maximum: 1024 })),
    result: Type.Optional(Type.Unknown()),
    output: Type.Object({
      /** Original length, with what was dropped. */
      bytes: Offset,
      droppedBytes: Type.Optional(Offset),
      /** Of the stored bytes, the marker included; lower-case hex. Absent for endless commands. */
      sha256: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
    }),
    startedAt: Time,
    finishedAt: Time,
  }),
  /** What is installed has changed since `hello`: the whole list again. */
  executors: frame('executors', { executors: Type.Array(ExecutorReport, { maxItems: 256 }) }),
  ping: frame('ping', {}),
  pong: frame('pong', {}),
} as const

export const ServerFrame = {
  welcome: frame('welcome', {
    protocol: Type.Integer({ minimum: 1 }),
    serverVersion: Type.String({ maxLength: 64 }),
    session: Type.String({ maxLength: 64 }),
    /** 128 bits, base64url; absent over poll, where the answer's signature stands for the session's keys. */
    nonce: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{22}$' })),
    time: Time,
    /** The highest fact revision the server has of this agent; the agent goes on above it. */
    factRevision: Type.Integer({ minimum: 0 }),
    /** Absent where the server delivers none to this agent, which then keeps what it has. */
    wanted: Type.Optional(WantedExecutors),
  }),
  /** What the server delivers has changed since `welcome`: the whole list again. */
  executors: frame('executors', { wanted: WantedExecutors }),
  offer: frame('offer', {
    commandId: CommandId,
    epoch: Epoch,
    plugin: Id,
    command: Id,
    input: Type.Unknown(),
    lane: Type.Optional(Id),
    timeoutSeconds: Type.Integer({ minimum: 1, maximum: 604_800 }),
    endless: Type.Boolean(),
    precondition: Type.Optional(Type.String({ maxLength: 256 })),
    /** The start may not happen after this moment of the server's clock. */
    notAfter: Time,
    /** Journal entries are kept until this moment + 30 days. */
    expiresAt: Time,
  }),
  ack: frame('ack', {
    commandId: Type.Optional(CommandId),
    epoch: Type.Optional(Epoch),
    /** Output is durable up to here: forget it. A lower offset than was sent: send again from here. */
    output: Type.Optional(Offset),
    /** The result is durable. */
    result: Type.Optional(Type.Boolean()),
    /** Facts up to this revision are durable. */
    facts: Type.Optional(Type.Integer({ minimum: 0 })),
  }),
  cancel: frame('cancel', { commandId: CommandId, epoch: Epoch, force: Type.Optional(Type.Boolean()) }),
  /** To be stored, confirmed by the same frame, and given in the next session's hello. */
  ticket: frame('ticket', { ticket: Ticket }),
  /** With `key` an exchange begins; with `confirmation` the server says that it has the key of that name. */
  rekey: frame('rekey', {
    kid: Kid,
    key: Type.Optional(Bytes32),
    confirmation: Type.Optional(Bytes32),
  }),
  ping: frame('ping', {}),
  pong: frame('pong', {}),
} as const

type FrameOf<T> = { [K in keyof T]: T[K] extends TSchema ? Static<T[K]> : never }[keyof T]
export type AgentFrame = FrameOf<typeof AgentFrame>
export type ServerFrame = FrameOf<typeof ServerFrame>
export type AgentFrameOf<T extends AgentFrame['type']> = Extract<AgentFrame, { type: T }>
export type ServerFrameOf<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>

export const PollRequest = Type.Object({
  /** The server process the agent believes it talks to; '' at first. */
  boot: Type.String({ maxLength: 64 }),
  /** Seconds to wait for frames. */
  wait: Type.Integer({ minimum: 0, maximum: 25 }),
  /** The poll session, from `welcome`; absent where the first frame is `hello`. */
  session: Type.Optional(Type.String({ maxLength: 64 })),
  frames: Type.Array(Type.Unknown(), { maxItems: 256 }),
})
export type PollRequest = Static<typeof PollRequest>

export const PollAnswer = Type.Object({ boot: Type.String(), frames: Type.Array(Type.Unknown()) })
export type PollAnswer = Static<typeof PollAnswer>

const AboutText = Type.Optional(Type.String({ maxLength: 200 }))

/** What a machine that waits for approval says of itself. */
export const EnrolAbout = Type.Object(
  { hostname: AboutText, os: AboutText, kernel: AboutText, arch: AboutText, agentVersion: AboutText },
  { additionalProperties: false },
)
export type EnrolAbout = Static<typeof EnrolAbout>

export const EnrolRequest = Type.Union([
  Type.Object(
    {
      step: Type.Literal('start'),
      agentId: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' }),
      secretId: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }),
      agentKey: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      step: Type.Literal('finish'),
      agentId: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' }),
      enrolmentId: Type.String({ pattern: '^[A-Za-z0-9_-]{22}$' }),
      confirmation: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
      /** Only once the server said that somebody must approve: older ones know no such member. */
      about: Type.Optional(EnrolAbout),
    },
    { additionalProperties: false },
  ),
])
export type EnrolRequest = Static<typeof EnrolRequest>

export const EnrolStarted = Type.Object({
  enrolmentId: Type.String(),
  kid: Type.String(),
  serverKey: Type.String(),
  time: Time,
})
export type EnrolStarted = Static<typeof EnrolStarted>
export const EnrolFinished = Type.Object({ confirmation: Type.String(), time: Time })
export type EnrolFinished = Static<typeof EnrolFinished>
