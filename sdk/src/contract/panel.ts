import type { AnyContract } from './contract.ts'

/** The named places of the dashboard where a panel may appear. */
export type SlotName =
  | 'agent.card'
  | 'agent.tab'
  | 'agent.header'
  | 'fleet.column'
  | 'fleet.summary'
  | 'fleet.action'
  | 'command.detail'
  | 'page'

export type PanelLoader = () => Promise<{ default: unknown }>

export interface PanelParts {
  readonly title: string
  /** Name of a lucide icon, for navigation. */
  readonly icon?: string
  readonly slots: { readonly [S in SlotName]?: PanelLoader }
  /** Messages by locale; keys are used as `<plugin id>.<key>`. */
  readonly messages?: Readonly<Record<string, Readonly<Record<string, string>>>>
}

/** One capability's face in the dashboard; made by {@link definePanel}. */
export interface Panel extends PanelParts {
  readonly id: string
}

/**
 * Describes the panel of a capability: which Vue component appears in which slot.
 *
 * @example
 * export default definePanel(reboot, { title: 'Reboot', slots: { 'agent.card': () => import('./RebootCard.vue') } })
 */
export function definePanel(contract: Pick<AnyContract, 'id'>, parts: PanelParts): Panel {
  return { id: contract.id, ...parts }
}
