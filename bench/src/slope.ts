/** The slope of a line through samples (least squares), in units an hour; 0 where there are fewer than two. */
export function slopePerHour<K extends string>(
  samples: readonly ({ readonly atMs: number } & Readonly<Record<K, number>>)[],
  key: K,
): number {
  if (samples.length < 2) return 0
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length
  const times = samples.map(({ atMs }) => atMs / 3_600_000)
  const values = samples.map((sample) => sample[key])
  const [time, value] = [mean(times), mean(values)]
  const over = times.reduce((sum, at, i) => sum + (at - time) * ((values[i] ?? 0) - value), 0)
  const under = times.reduce((sum, at) => sum + (at - time) ** 2, 0)
  return under === 0 ? 0 : over / under
}
