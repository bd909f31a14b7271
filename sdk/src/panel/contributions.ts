import type { Component } from 'vue'
import type { AgentView } from '../api/views.ts'
import type { Tone } from './kit-props.ts'

/** A row of the fleet list, as columns get it: without facts. */
export type FleetRow = Pick<AgentView, 'id' | 'status' | 'lastSeenAt' | 'facets'>

/** One column of the fleet list. Texts are keys of the panel's messages. */
export interface FleetColumn {
  readonly key: string
  readonly title: string
  /** Qualified facet to sort by: `os-updates.pending`. */
  readonly sort?: string
  /** Any CSS width. Default `8rem`. */
  readonly width?: string
  readonly align?: 'start' | 'end'
  /** Left out where the window is narrower than 80rem: good to know, not needed to decide. */
  readonly wide?: boolean
  /** Left to right. */
  readonly order?: number
  /** Props: `row` ({@link FleetRow}). */
  readonly cell: Component
}

/** One count of the fleet that is a filter at the same time. */
export interface FleetSummary {
  /** Of `GET /api/agents?filter=`: `os-updates.outdated`. */
  readonly filter: string
  readonly label: string
  /** What it means and what to do, one line. */
  readonly hint?: string
  readonly icon: string
  readonly tone: Tone
  /** Left to right. */
  readonly order?: number
}

/** Something to do with the chosen agents. */
export interface FleetAction {
  readonly label: string
  readonly icon: string
  /** Submitted for all chosen agents as it is. */
  readonly command?: string
  readonly input?: unknown
  /** Opens the panel's own page with `?agents=a,b`. */
  readonly page?: boolean
  readonly primary?: boolean
}

/** For the slot `fleet.column`. */
export function defineFleetColumns(columns: readonly FleetColumn[]): readonly FleetColumn[] {
  return columns
}

/** For the slot `fleet.summary`. */
export function defineFleetSummary(summaries: readonly FleetSummary[]): readonly FleetSummary[] {
  return summaries
}

/** For the slot `fleet.action`. */
export function defineFleetActions(actions: readonly FleetAction[]): readonly FleetAction[] {
  return actions
}
