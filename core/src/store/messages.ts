import type { WriteOutcome } from './store.ts'

/** What SQLite can keep. Booleans and dates are for the caller to turn into one of these. */
export type Parameter = string | number | bigint | null | Uint8Array

/** `sql` is an index into the group's table of texts, so that each text crosses to the worker once a group. */
export interface GroupStatement {
  readonly sql: number
  readonly parameters: readonly Parameter[]
  readonly expectedRows: number | undefined
}

export interface GroupBatch {
  readonly id: number
  /** How long it waited on the main side already. */
  readonly waitedMs: number
  readonly statements: readonly GroupStatement[]
}

/** From the server's thread to the writer's. A file is named by its path. */
export type ToWorker =
  | { readonly kind: 'open'; readonly file: string }
  | { readonly kind: 'close'; readonly file: string }
  | {
      readonly kind: 'group'
      readonly file: string
      readonly texts: readonly string[]
      readonly batches: readonly GroupBatch[]
    }

/** An error as data: errors lose their class on the way between threads. `code` undefined: a mistake in the statement. */
export interface Failure {
  readonly code?:
    | 'FLT_STORE_CONFLICT'
    | 'FLT_STORE_FULL'
    | 'FLT_STORE_BUSY'
    | 'FLT_STORE_CORRUPT'
    | 'FLT_STORE_FAILED'
    | 'FLT_START_DATA_DIR'
  readonly problem: string
  readonly details?: Readonly<Record<string, string | number>>
}

export type BatchResult =
  | { readonly id: number; readonly outcomes: readonly WriteOutcome[] }
  | { readonly id: number; readonly failure: Failure }

export type FromWorker =
  | { readonly kind: 'opened'; readonly file: string; readonly failure?: Failure }
  | { readonly kind: 'closed'; readonly file: string }
  | { readonly kind: 'results'; readonly file: string; readonly results: readonly BatchResult[] }
  /** The disk failed: nothing more is written. */
  | { readonly kind: 'fatal'; readonly file: string; readonly failure: Failure }

/** Given to the worker at its start. */
export interface WorkerSettings {
  /** How long a batch may wait for a lock that another process holds. */
  readonly busyMs: number
}
