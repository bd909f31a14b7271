import { defineComponent, h } from 'vue'
import { type KitName, usePanelHost } from './host.ts'
import type {
  BadgeProps,
  ButtonProps,
  CalloutProps,
  CardProps,
  ChartProps,
  CodeProps,
  CommandStateProps,
  DefaultSlot,
  DialogProps,
  EmptyProps,
  FormProps,
  IconProps,
  ProgressProps,
  SparklineProps,
  TableProps,
  TableRow,
  TerminalProps,
  TimeProps,
  ValueProps,
} from './kit-props.ts'

/** A component of the dashboard that panels use by its props alone. */
export type KitComponent<P, S = DefaultSlot> = new () => { $props: P; $slots: S }

export const FleetButton = part<ButtonProps>('button')
export const FleetBadge = part<BadgeProps>('badge')
/** A table of plain rows; the slot `cell` draws one cell its own way. */
export const FleetTable = part<
  TableProps,
  { cell?: (cell: { row: TableRow; column: string; value: unknown }) => unknown }
>('table')
/** A form made from a JSON schema. */
export const FleetForm = part<FormProps>('form')
/** The output of a command, live, with colours and without anything that could act. */
export const FleetTerminal = part<TerminalProps>('terminal')
/** Time series. */
export const FleetChart = part<ChartProps>('chart')
export const FleetSparkline = part<SparklineProps>('sparkline')
export const FleetCard = part<CardProps, DefaultSlot & { actions?: () => unknown }>('card')
export const FleetCallout = part<CalloutProps>('callout')
export const FleetProgress = part<ProgressProps>('progress')
export const FleetTime = part<TimeProps>('time')
export const FleetEmpty = part<EmptyProps>('empty')
/** Text to copy, such as a line for a shell. */
export const FleetCode = part<CodeProps>('code')
export const FleetIcon = part<IconProps>('icon')
export const FleetDialog = part<DialogProps, DefaultSlot & { actions?: () => unknown }>('dialog')
/** Any value, readable: what a plugin without a panel gets. */
export const FleetValue = part<ValueProps>('value')
export const FleetCommandState = part<CommandStateProps>('commandState')

/** The dashboard's own component of that name, so that panels always look like the dashboard they are shown in. */
function part<P, S = DefaultSlot>(name: KitName): KitComponent<P, S> {
  return defineComponent({
    name: `Fleet${name.charAt(0).toUpperCase()}${name.slice(1)}`,
    inheritAttrs: false,
    setup(_, { attrs, slots }) {
      const { kit } = usePanelHost()
      return () => h(kit[name], attrs, slots)
    },
  }) as unknown as KitComponent<P, S>
}
