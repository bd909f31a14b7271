import type { AgentView, Role } from '@fleetupdate/sdk'

/** A row of the fleet list: what lists and the live topic carry of an agent. */
export type AgentRow = Pick<AgentView, 'id' | 'status' | 'lastSeenAt' | 'facets' | 'quarantine'>

export type Counts = Readonly<Record<string, number>>

export interface Page<T> {
  readonly items: readonly T[]
  readonly nextCursor: string | null
}

export interface CommandContract {
  readonly input?: unknown
  readonly result?: unknown
  readonly role: Role
  readonly lane?: string
  readonly timeoutSeconds: number
  readonly endless: boolean
  readonly dangerous?: boolean
  readonly title?: string
  readonly description?: string
}

export interface PanelEntry {
  readonly module: string
  readonly styles?: readonly string[]
  readonly slots: readonly string[]
  readonly title: string
}

/** One plugin as `GET /api/plugins` describes it. */
export interface PluginView {
  readonly id: string
  readonly title: string
  readonly description?: string
  readonly version: string
  readonly state: 'active' | 'disabled' | 'failed'
  readonly reason?: string
  readonly contract?: {
    readonly facts: Readonly<Record<string, unknown>>
    readonly facets: readonly string[]
    readonly commands: Readonly<Record<string, CommandContract>>
  }
  readonly hash?: string
  readonly panel?: PanelEntry
  readonly privileges?: readonly {
    readonly id: string
    readonly reason: string
    readonly program: string
    readonly args: readonly unknown[]
  }[]
  readonly programs?: readonly string[]
  readonly paths?: readonly string[]
  readonly agents?: Readonly<Record<string, number>>
}

export interface BatchCounts {
  readonly id: string
  readonly total: number
  readonly counts: Counts
}
