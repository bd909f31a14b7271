import type { StoredState } from './state-machine.ts'

/** One command. Times are Unix ms. */
export interface CommandRow {
  /** UUIDv7: sorts in the order of submission. */
  id: string
  batchId: string | null
  agentId: string
  /** `<plugin>.<command>`. */
  command: string
  /** JSON. */
  input: string
  lane: string | null
  timeoutSeconds: number
  endless: number
  precondition: string | null
  causeType: string
  causeId: string
  state: StoredState
  reason: string | null
  /** JSON. */
  result: string | null
  exitCode: number | null
  /** The attempt that was offered last; 0 before the first offer. */
  epoch: number
  /** The enrolment of the agent it was offered to; another one means that the attempt is lost. */
  generation: number | null
  /** Until when the last offer may be accepted. */
  notAfter: number | null
  createdAt: number
  notBefore: number | null
  expiresAt: number
  startedAt: number | null
  finishedAt: number | null
  cancelRequestedAt: number | null
  cancelForce: number
  outputBytes: number | null
  outputDropped: number | null
  outputSha256: string | null
  /** 0: some output had nowhere to go. */
  outputStored: number
}

export interface BatchRow {
  id: string
  command: string
  total: number
  causeType: string
  causeId: string
  createdAt: number
}

/** Tables of the commands' room. */
export interface CommandTables {
  commands: CommandRow
  batches: BatchRow
  idempotency_keys: {
    /** `user:<name>` or `plugin:<id>`. */
    subject: string
    key: string
    /** SHA-256 of the canonical request, hex. */
    requestHash: string
    commandId: string | null
    batchId: string | null
    createdAt: number
  }
}
