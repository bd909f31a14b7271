import { type Static, Type } from 'typebox'

const Time = Type.String({ format: 'date-time' })

/** States as they are shown: the stored ones, and `unknown` and `lost`, which are computed when read. */
export const CommandState = Type.Enum([
  'queued',
  'offered',
  'started',
  'running',
  'succeeded',
  'failed',
  'cancelled',
  'timed_out',
  'interrupted',
  'expired',
  'rejected',
  'unknown',
  'lost',
])
export type CommandState = Static<typeof CommandState>

/** A command as people and programs see it. Times are ISO 8601 UTC. */
export const CommandView = Type.Object({
  id: Type.String(),
  batchId: Type.Optional(Type.String()),
  agentId: Type.String(),
  command: Type.String({ description: '<plugin>.<command>' }),
  input: Type.Unknown(),
  state: CommandState,
  reason: Type.Optional(Type.String()),
  attention: Type.Optional(
    Type.Object(
      {
        next: Type.Enum(['wait', 'inspect', 'run-again', 'correct']),
        mayStillRun: Type.Boolean({ description: 'Whether the machine may be at it this moment.' }),
        advice: Type.String(),
      },
      { description: 'Only where somebody should look: what to do next.' },
    ),
  ),
  result: Type.Optional(Type.Unknown()),
  exitCode: Type.Optional(Type.Integer()),
  progress: Type.Optional(
    Type.Object({ percent: Type.Optional(Type.Number()), message: Type.Optional(Type.String()) }),
  ),
  output: Type.Optional(
    Type.Object({
      bytes: Type.Integer(),
      /** Absent for endless commands. */
      sha256: Type.Optional(Type.String()),
      droppedBytes: Type.Optional(Type.Integer()),
      stored: Type.Boolean(),
    }),
  ),
  cause: Type.Object({ type: Type.String(), id: Type.String() }),
  epoch: Type.Integer(),
  cancelRequestedAt: Type.Optional(Time),
  createdAt: Time,
  notBefore: Type.Optional(Time),
  expiresAt: Time,
  startedAt: Type.Optional(Time),
  finishedAt: Type.Optional(Time),
})
export type CommandView = Static<typeof CommandView>

/** One executor as an agent reported it at its last connect. */
export const ExecutorView = Type.Object({
  id: Type.String(),
  version: Type.String(),
  contractHash: Type.String(),
  health: Type.Union([Type.Literal('ok'), Type.Literal('failed')]),
  /** A sentence: why it failed, or why its host refuses it. */
  reason: Type.Optional(Type.String()),
  /** Why its host lets it run, or not; absent for older agents. */
  trust: Type.Optional(Type.Enum(['built-in', 'signed', 'unsigned', 'modified', 'refused'])),
  /** Who signed it, by the name that the trust file of its host gives the key. */
  publisher: Type.Optional(Type.String()),
})
export type ExecutorView = Static<typeof ExecutorView>

/** An agent as people and programs see it. */
export const AgentView = Type.Object({
  id: Type.String(),
  status: Type.Union([Type.Literal('online'), Type.Literal('offline')]),
  enrolledAt: Time,
  lastSeenAt: Type.Union([Time, Type.Null()]),
  agentVersion: Type.Union([Type.String(), Type.Null()]),
  keyRotatedAt: Type.Optional(
    Type.String({ format: 'date-time', description: 'Since when its key counts; a new one comes by itself' }),
  ),
  quarantine: Type.Optional(
    Type.Object(
      { since: Time, reason: Type.String() },
      { description: 'Two machines seem to use its identity: it is refused until it is released' },
    ),
  ),
  executors: Type.Array(ExecutorView),
  apps: Type.Array(Type.Unknown()),
  facts: Type.Record(Type.String(), Type.Record(Type.String(), Type.Unknown())),
  factsMeta: Type.Record(
    Type.String(),
    Type.Record(
      Type.String(),
      Type.Object({ observedAt: Time, revision: Type.Integer(), error: Type.Optional(Type.String()) }),
    ),
  ),
  facets: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()])),
})
export type AgentView = Static<typeof AgentView>
