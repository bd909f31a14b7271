import type { FleetError, Migration, PluginDatabase, WriteOutcome, WriteStatement } from '@fleetupdate/sdk'
import type { Kysely } from 'kysely'
import type { CoreTables } from './tables.ts'

/** Where truth is kept. All writes go through {@link Store.write}; reads use read-only handles and are short and paged. */
export interface Store {
  /** Read-only handle on the core's own tables; also compiles statements for `write`. */
  readonly read: Kysely<CoreTables>
  /**
   * All or nothing, durable (synchronous=FULL) when it resolves. What waits is grouped into one commit.
   * Rejects with FLT_STORE_CONFLICT where an `expectedRows` does not hold, FLT_STORE_FULL (507) on a full disk.
   */
  write(statements: readonly Compilable[], options?: WriteOptions): Promise<readonly WriteOutcome[]>
  /**
   * Opens (and migrates) the file of one plugin: `<DATA_DIR>/plugins-data/<id>.db`. `onDamaged` is told whenever a read or a write finds it
   * damaged.
   */
  openPlugin(
    id: string,
    migrations: readonly Migration[],
    onDamaged?: (error: FleetError) => void,
  ): Promise<PluginDatabase & { close(): Promise<void> }>
  close(): Promise<void>
}

export interface WriteOptions {
  /** It may wait some milliseconds for the next write and share its commit: for what the other side would tell again after a crash. Order stays. */
  readonly unhurried?: boolean
}

/** A compiled Kysely query (`query.compile()`) or a statement by hand. */
export type Compilable = WriteStatement

export type { Migration, PluginDatabase, WriteOutcome, WriteStatement }
