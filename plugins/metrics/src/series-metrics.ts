import type { FactValue } from '@fleetupdate/sdk'
import { fullest, type metrics, percent } from './contract.ts'

export type Sample = FactValue<typeof metrics, 'sample'>

interface SeriesMetric {
  readonly unit: 'percent' | 'load' | 'bytes/s'
  /** Values are stored as whole numbers of 1/scale: they take a quarter of the space. */
  readonly scale: number
  read(sample: Sample): number | null
}

/** Every metric that is kept as a series; adding one takes a line here and a migration. */
export const seriesMetrics = {
  cpu: { unit: 'percent', scale: 10, read: ({ cpu }) => cpu },
  load: { unit: 'load', scale: 100, read: ({ load }) => load[0] ?? null },
  memory: {
    unit: 'percent',
    scale: 10,
    read: ({ memory }) => percent(memory.total - memory.available, memory.total),
  },
  swap: { unit: 'percent', scale: 10, read: ({ swap }) => percent(swap.used, swap.total) },
  disk: { unit: 'percent', scale: 10, read: ({ disks }) => fullest(disks) },
  rx: { unit: 'bytes/s', scale: 1, read: ({ network }) => network.rx },
  tx: { unit: 'bytes/s', scale: 1, read: ({ network }) => network.tx },
} as const satisfies Readonly<Record<string, SeriesMetric>>

export type MetricName = keyof typeof seriesMetrics

export const metricNames: readonly MetricName[] = ['cpu', 'load', 'memory', 'swap', 'disk', 'rx', 'tx']

export function isMetricName(value: unknown): value is MetricName {
  return typeof value === 'string' && Object.hasOwn(seriesMetrics, value)
}
