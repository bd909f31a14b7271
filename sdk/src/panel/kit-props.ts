import type { VNodeChild } from 'vue'

/** What a colour says. `unknown` means "cannot be told" and is never shown as good. */
export type Tone = 'neutral' | 'accent' | 'ok' | 'info' | 'warning' | 'danger' | 'unknown'

export interface ButtonProps {
  /** Default `plain`. */
  readonly kind?: 'primary' | 'plain' | 'quiet' | 'danger'
  readonly size?: 'small' | 'medium'
  /** Name of a lucide icon. */
  readonly icon?: string
  readonly disabled?: boolean
  /** Shows a spinner and takes no clicks. */
  readonly busy?: boolean
  readonly type?: 'button' | 'submit'
  /** Makes it a link inside the dashboard. */
  readonly to?: string
  /** For a button without text. */
  readonly label?: string
  readonly onClick?: () => void
}

export interface BadgeProps {
  readonly tone?: Tone
  readonly icon?: string
}

export interface TableColumn {
  readonly key: string
  readonly title: string
  readonly align?: 'start' | 'end'
  /** Any CSS width. */
  readonly width?: string
  readonly mono?: boolean
}

export type TableRow = Readonly<Record<string, unknown>>

export interface TableProps {
  readonly columns: readonly TableColumn[]
  readonly rows: readonly TableRow[]
  /** The member that tells rows apart. Default: the position. */
  readonly rowKey?: string
  /** Read to people who can't see the table. */
  readonly caption: string
  /** Shown instead of the table where there is no row. */
  readonly empty?: string
  /** With it, rows can be chosen; the keys of the chosen ones. */
  readonly selected?: readonly string[]
  readonly onSelect?: (keys: readonly string[]) => void
  /** Rows beyond this wait behind a button. Default 200. */
  readonly limit?: number
}

export interface FormProps {
  /** JSON schema of an object: the input of a command. */
  readonly schema: unknown
  readonly value?: unknown
  readonly submitLabel?: string
  readonly busy?: boolean
  readonly onSubmit?: (value: Readonly<Record<string, unknown>>) => void
}

export interface TerminalProps {
  /** The command whose output is shown, live or stored. */
  readonly commandId: string
  /** Any CSS height. Default `24rem`. */
  readonly height?: string
  /** Hides lines without this text. Live output keeps arriving. */
  readonly filter?: string
  /** Holds the view still; what arrives is shown when it ends. */
  readonly paused?: boolean
}

export interface ChartSeries {
  readonly label: string
  /** One value per time; null is a gap. */
  readonly values: readonly (number | null)[]
  readonly tone?: Tone
}

export interface ChartProps {
  readonly title: string
  /** Milliseconds since 1970, ascending. */
  readonly times: readonly number[]
  /** What the time axis spans at least, in the same unit. */
  readonly from?: number
  readonly to?: number
  readonly series: readonly ChartSeries[]
  /** Written behind values: `%`. `bytes` and `bytes/s` are scaled. */
  readonly unit?: string
  readonly min?: number
  readonly max?: number
  /** In pixels. Default 180. */
  readonly height?: number
}

export interface SparklineProps {
  readonly values: readonly (number | null)[]
  readonly max?: number
  /** What it shows, for people who can't see it. */
  readonly label: string
}

export interface CardProps {
  readonly title?: string
  readonly icon?: string
  readonly description?: string
}

export interface CalloutProps {
  readonly tone?: Tone
  readonly title: string
  readonly icon?: string
}

export interface ProgressProps {
  /** 0 to 100; absent: it moves, but nobody knows how far. */
  readonly percent?: number
  readonly label: string
  readonly tone?: Tone
}

export interface TimeProps {
  /** ISO 8601. Shown relative, exact on hover. */
  readonly value: string | null | undefined
}

export interface EmptyProps {
  readonly icon?: string
  readonly title: string
  /** What to do next. */
  readonly text?: string
}

export interface CodeProps {
  readonly text: string
  readonly label: string
}

export interface IconProps {
  readonly name: string
}

export interface DialogProps {
  readonly open: boolean
  readonly title: string
  readonly onClose?: () => void
}

export interface ValueProps {
  /** Anything an agent sent; shown as text only. */
  readonly value: unknown
  /** Its JSON schema, for titles. */
  readonly schema?: unknown
}

export interface CommandStateProps {
  readonly state: string
}

export interface DefaultSlot {
  default?: () => VNodeChild
}
