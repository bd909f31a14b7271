import type { Fleet } from '@fleetupdate/sdk/panel'

export const metricNames = ['cpu', 'memory', 'swap', 'disk', 'load', 'rx', 'tx'] as const
export type MetricName = (typeof metricNames)[number]

export interface Series {
  /** What was asked for, in Unix ms. */
  readonly from: number
  readonly to: number
  readonly times: readonly number[]
  readonly values: Readonly<Record<MetricName, readonly (number | null)[]>>
}

interface Answer {
  readonly from: number
  readonly to: number
  /** Seconds. */
  readonly step: number
  readonly points: readonly (readonly [number, number | null, number | null, number | null])[]
}

/** All series of an agent over the last so many milliseconds, on one time axis; missing points are gaps. */
export async function readSeries(fleet: Fleet, agentId: string, spanMs: number): Promise<Series> {
  const to = Date.now()
  const path = `plugins/metrics/agents/${encodeURIComponent(agentId)}/series`
  const answers = await Promise.all(
    metricNames.map((metric) => fleet.read<Answer>(`${path}?metric=${metric}&from=${to - spanMs}&to=${to}`)),
  )
  const found = [...new Set(answers.flatMap(({ points }) => points.map(([time]) => time)))].sort(
    (a, b) => a - b,
  )
  const times = withGaps(found, Math.max(...answers.map(({ step }) => step)) * 1000)
  const column = (answer: Answer | undefined): readonly (number | null)[] => {
    const values = new Map(answer?.points.map(([time, average]) => [time, average]))
    return times.map((time) => values.get(time) ?? null)
  }
  return {
    from: to - spanMs,
    to,
    times,
    values: {
      cpu: column(answers[0]),
      memory: column(answers[1]),
      swap: column(answers[2]),
      disk: column(answers[3]),
      load: column(answers[4]),
      rx: column(answers[5]),
      tx: column(answers[6]),
    },
  }
}

/** Adds one empty time wherever two points are further apart than a step, so that no line is drawn across. */
function withGaps(times: readonly number[], stepMs: number): readonly number[] {
  return times.flatMap((time, i) => {
    const before = times[i - 1]
    return before !== undefined && time - before > stepMs * 1.5 ? [before + stepMs, time] : [time]
  })
}
