import { type Component, type InjectionKey, inject, type MaybeRefOrGetter, type Ref } from 'vue'
import type { AgentView, CommandView } from '../api/views.ts'
import type { Role } from '../contract/contract.ts'

export type KitName =
  | 'button'
  | 'badge'
  | 'table'
  | 'form'
  | 'terminal'
  | 'chart'
  | 'sparkline'
  | 'card'
  | 'callout'
  | 'progress'
  | 'time'
  | 'empty'
  | 'code'
  | 'icon'
  | 'dialog'
  | 'value'
  | 'commandState'

/** What went wrong, as the server said it. */
export interface Problem {
  readonly code: string
  readonly message: string
  /** What a program can act on, where the code has any. */
  readonly details?: unknown
}

export interface BatchView {
  readonly id: string
  readonly total: number
}

export interface LiveAgent {
  /** Undefined until it has loaded. Follows the server. */
  readonly agent: Readonly<Ref<AgentView | undefined>>
  readonly problem: Readonly<Ref<Problem | undefined>>
  reload(): Promise<void>
}

export interface LiveCommand {
  readonly command: Readonly<Ref<CommandView | undefined>>
  readonly problem: Readonly<Ref<Problem | undefined>>
}

export type Targets = { readonly agents: readonly string[] } | { readonly filter: string }

export interface SubmitRequest {
  readonly command: string
  readonly input?: unknown
  readonly precondition?: string
}

/** What a panel may ask of the fleet. Each call rejects with a {@link Problem}. */
export interface Fleet {
  submit(agentId: string, request: SubmitRequest): Promise<CommandView>
  submitMany(targets: Targets, request: SubmitRequest): Promise<BatchView>
  cancel(commandId: string): Promise<void>
  /** Commands by query, newest first: `{ batch, agent, command, state, limit, cursor }`. */
  commands(query: Readonly<Record<string, string>>): Promise<{
    readonly items: readonly CommandView[]
    readonly nextCursor: string | null
  }>
  agents(query: Readonly<Record<string, string>>): Promise<{
    readonly items: readonly AgentView[]
    readonly nextCursor: string | null
  }>
  /** Reads one of the plugin's own routes: `/api/plugins/<id>/…`. */
  read<T>(path: string): Promise<T>
}

export type RouteMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface RouteRequest {
  readonly query?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
}

/** The routes of the panel's own plugin, below `/api/plugins/<id>`, asked as the person who is signed in. */
export interface OwnRoutes {
  /**
   * The parsed answer. `path` holds plain segments (`rollouts/:id`, already encoded); one that could lead anywhere else is never sent. Rejects with a
   * {@link Problem}: the server's own, `FLT_PANEL_ROUTE` for such a path, or `FLT_NO_ANSWER`.
   */
  call<T>(method: RouteMethod, path: string, request?: RouteRequest): Promise<T>
}

export interface TopicHandlers {
  readonly data: (data: unknown) => void
  readonly problem?: (problem: Problem) => void
  /** Offset to resume from; asked again after every reconnection. */
  readonly from?: () => number
}

export interface TextTools {
  /** A message of the panel, in the language of the person: `t('title', { count: 3 })`. */
  t(key: string, parameters?: Readonly<Record<string, string | number>>): string
  /** The same with singular and plural, separated by `|` in the message. */
  plural(key: string, count: number, parameters?: Readonly<Record<string, string | number>>): string
  number(value: number, options?: Intl.NumberFormatOptions): string
  /**
   * What to tell the person about a caught {@link Problem}: the panel's own message `error.<code>` where it has one (its placeholders are filled from `details`),
   * else the dashboard's, else the server's sentence.
   */
  problem(error: unknown): string
  /** `3 hours ago`. Follows the clock. */
  ago(iso: string): string
  readonly locale: Readonly<Ref<string>>
}

export interface Place {
  /** What stands in the address after `?`. */
  readonly query: Readonly<Ref<Readonly<Record<string, string>>>>
  open(path: string): void
}

/** What the dashboard gives to panels. Panels use the composables and the kit, never this. */
export interface PanelHost {
  readonly kit: Readonly<Record<KitName, Component>>
  readonly fleet: Fleet
  routes(plugin: string): OwnRoutes
  may(role: Role): boolean
  agent(id: MaybeRefOrGetter<string>): LiveAgent
  command(id: MaybeRefOrGetter<string | undefined>): LiveCommand
  topic(topic: MaybeRefOrGetter<string | undefined>, handlers: TopicHandlers): void
  text(plugin: string): TextTools
  place(): Place
  tell(message: string, tone?: 'ok' | 'danger' | 'info'): void
}

export const panelHostKey: InjectionKey<PanelHost> = Symbol.for('fleetupdate.panel-host')
export const panelIdKey: InjectionKey<string> = Symbol.for('fleetupdate.panel-id')

/** The dashboard around this component. Throws outside of a panel's setup. */
export function usePanelHost(): PanelHost {
  const host = inject(panelHostKey)
  if (!host) throw new Error('The panel kit works only inside the dashboard, in the setup of a component.')
  return host
}
