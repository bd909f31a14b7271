import type { FastifyInstance } from 'fastify'
import type { Kysely } from 'kysely'
import type { AgentView, CommandView } from '../api/views.ts'
import type {
  AnyContract,
  CommandInput,
  CommandName,
  FactName,
  FactValue,
  KnownFacts,
  Role,
} from './contract.ts'
import type { FleetEvents } from './events.ts'
import type { Log } from './executor.ts'

export interface Subject {
  readonly name: string
  readonly role: Role
}

/** One statement of a batch: compiled SQL, and how many rows it must change for the batch to stand. */
export interface WriteStatement {
  readonly sql: string
  readonly parameters: readonly unknown[]
  readonly expectedRows?: number
}

export interface WriteOutcome {
  readonly changes: number
  /** Rows of a RETURNING clause. */
  readonly rows: readonly Readonly<Record<string, unknown>>[]
}

/** The plugin's own database: one SQLite file (a schema on PostgreSQL). */
export interface PluginDatabase {
  /** Read-only. Also compiles statements for `write`: `db.query.insertInto('t').values(row).compile()`. */
  readonly query: Kysely<any>
  /** All or nothing, durable when it resolves; rejects with FLT_STORE_CONFLICT where an expected row count does not hold. */
  write(statements: readonly WriteStatement[]): Promise<readonly WriteOutcome[]>
}

/** A piece of a command's output; `end - offset` is its length in UTF-8 bytes, or the size of the gap a marker stands for. */
export interface OutputChunk {
  readonly commandId: string
  readonly agentId: string
  readonly offset: number
  readonly end: number
  readonly text: string
  readonly endless: boolean
}

/** Keeps the output of commands. Registered by one plugin; without one, output is dropped and the results say so. */
export interface OutputStore {
  /** Durable when it resolves. A chunk at or below the stored end is no error (only its new part is stored). Answers the stored end. */
  append(chunks: readonly OutputChunk[]): Promise<void>
  /** The end of what is stored; 0 where there is none. A chunk that starts beyond it is a gap and must be refused by the caller. */
  end(commandId: string): Promise<number>
}

export interface LiveSubscription {
  /** What stands after the colon of the topic: `output:<argument>`. */
  readonly argument: string
  /** Offset or revision to resume from. */
  readonly from: number
  readonly subject: Subject
  /** Sends one message; false where the reader is so slow that it is about to be cut. */
  send(data: unknown): boolean
  /** Resolves when the reader has taken what was sent. */
  drained(): Promise<void>
  readonly signal: AbortSignal
}

/** A command that an agent of another protocol may start, once, until `notAfter`. */
export interface GatewayOffer {
  readonly commandId: string
  readonly epoch: number
  /** `<plugin>.<command>`. */
  readonly command: string
  readonly input: unknown
  readonly timeoutSeconds: number
  /** ISO 8601; the server offers again while it may still start. */
  readonly notAfter: string
}

/** One attempt of a command. */
export interface GatewayAttempt {
  readonly commandId: string
  readonly epoch: number
  /** ISO 8601. */
  readonly startedAt: string
}

export interface GatewayResult extends GatewayAttempt {
  readonly state: 'succeeded' | 'failed' | 'cancelled' | 'timed_out' | 'interrupted'
  readonly reason?: string
  readonly exitCode?: number
  readonly result?: unknown
  /** Bytes of UTF-8 that were sent as output. */
  readonly outputBytes: number
}

/** What a plugin knows of the agent it speaks for. */
export interface GatewayAgent {
  readonly agentVersion?: string
  /** Attempts that run, so that a server that was restarted knows of them. */
  readonly attempts?: readonly GatewayAttempt[]
  /** Called for every command the agent may take, again while it was not answered. Without it the agent takes no commands. */
  onOffer?(offer: GatewayOffer): void
}

/** A transport that reports presence, facts, output and results for agents that speak another protocol. */
export interface GatewaySession {
  readonly agentId: string
  /** The agent said something: it is online for another minute. */
  heard(): void
  facts(
    items: readonly { fact: string; value?: unknown; error?: string; observedAt: string; revision: number }[],
  ): Promise<void>
  /** Durable when it resolves: only then may the agent start. */
  accept(attempt: GatewayAttempt): Promise<void>
  /** The agent cannot do that; the command ends as rejected, with the reason. */
  reject(offer: Pick<GatewayOffer, 'commandId' | 'epoch'>, reason: string): Promise<void>
  /** Durable when it resolves. `offset`: UTF-8 bytes of all that came before. */
  output(attempt: Pick<GatewayAttempt, 'commandId' | 'epoch'>, offset: number, text: string): Promise<void>
  result(result: GatewayResult): Promise<void>
  close(): void
}

export interface SubmitOptions {
  readonly idempotencyKey?: string
  readonly timeoutSeconds?: number
  readonly expiresAt?: string
  readonly notBefore?: string
  readonly precondition?: string
}

/** Route options that every route of a plugin must carry; a route without a role fails the plugin's activation. */
export interface RouteRule {
  readonly role: Role | 'public'
}

/** Everything a server part may use. What is registered through it is undone by the host, in reverse order. */
export interface PluginContext<C extends AnyContract = AnyContract> {
  readonly agents: {
    get(agentId: string): Promise<AgentView | undefined>
    list(query: { filter?: string; q?: string; cursor?: string; limit?: number }): Promise<{
      items: readonly AgentView[]
      nextCursor: string | null
      counts: Readonly<Record<string, number>>
    }>
  }
  readonly facts: { read(agentId: string): Promise<KnownFacts<C['facts']>> }
  /** Called, awaited, after new facts of this plugin are stored. */
  onFacts(
    handler: (update: {
      agentId: string
      facts: { readonly [K in FactName<C>]?: FactValue<C, K> }
      observedAt: Readonly<Record<string, string>>
    }) => void | Promise<void>,
  ): void
  readonly commands: {
    read(commandId: string): Promise<CommandView | undefined>
    list(query: {
      agent?: string
      state?: string
      batch?: string
      cursor?: string
      limit?: number
    }): Promise<{
      items: readonly CommandView[]
      nextCursor: string | null
    }>
    submit<K extends CommandName<C>>(
      agentId: string,
      command: K,
      input: CommandInput<C, K>,
      options?: SubmitOptions,
    ): Promise<CommandView>
    /** Finished, not endless: how many of the newest `last` succeeded, between 0 and 1; null where there is none. */
    successRate(last: number): number | null
  }
  readonly output: { provide(store: OutputStore): void }
  readonly db: PluginDatabase
  /** Fastify scope under `/api/plugins/<id>`; `http.root` serves the exact root paths of the manifest. */
  readonly http: FastifyInstance & { readonly root: FastifyInstance }
  readonly live: {
    /** Whoever subscribes has at least this role; default viewer. */
    topic(
      name: string,
      open: (subscription: LiveSubscription) => void | Promise<void>,
      rule?: { readonly role: Role },
    ): void
  }
  readonly events: {
    on<E extends keyof FleetEvents>(event: E, handler: (payload: FleetEvents[E]) => void): void
  }
  readonly settings: { get(key: string): Promise<unknown>; set(key: string, value: unknown): Promise<void> }
  /** Text that is stored encrypted with the server's master key. `undefined`: there is none, or it is to be forgotten. */
  readonly secrets: {
    get(key: string): Promise<string | undefined>
    set(key: string, value: string | undefined): Promise<void>
  }
  readonly schedule: { every(intervalMs: number, task: (signal: AbortSignal) => void | Promise<void>): void }
  notify(notice: {
    level: 'info' | 'warning' | 'critical'
    title: string
    text?: string
    agentId?: string
  }): void
  readonly log: Log
  readonly gateway: { connect(agentId: string, agent?: GatewayAgent): Promise<GatewaySession> }
  /** Aborts when the plugin is disposed. */
  readonly signal: AbortSignal
  readonly server: { readonly version: string; readonly startedAt: string }
}

/** One step of the plugin's own tables; append-only, written with Kysely's schema builder. */
export interface Migration {
  readonly name: string
  up(db: Kysely<any>): Promise<void>
}

export type Setup<C extends AnyContract> = (context: PluginContext<C>) => void | Promise<void>

export interface PluginParts<C extends AnyContract> {
  readonly migrations?: readonly Migration[]
  readonly setup?: Setup<C>
}

/** One capability's part on the server; made by {@link definePlugin}. */
export interface Plugin<C extends AnyContract = AnyContract> {
  readonly contract: C
  readonly migrations: readonly Migration[]
  readonly setup: Setup<any> | undefined
}

/**
 * Describes the server part of a capability; `definePlugin(contract)` alone is a whole plugin.
 *
 * @example
 * export default definePlugin(reboot, ({ onFacts, notify }) => {
 *   onFacts(({ agentId, facts }) => facts.required && notify({ level: 'info', title: 'Reboot required', agentId }))
 * })
 */
export function definePlugin<const C extends AnyContract>(
  contract: C,
  parts?: Setup<C> | PluginParts<C>,
): Plugin<C> {
  const { migrations = [], setup } = typeof parts === 'function' ? { setup: parts } : (parts ?? {})
  return { contract, migrations, setup }
}
