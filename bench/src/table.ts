/** One measured figure beside its ceiling or bar. */
export interface Figure {
  readonly name: string
  readonly reached: string
  readonly bar: string
  /** `reached` as a part of the ceiling of the same run, where there is one. */
  readonly ratio?: number
  readonly ok: boolean
}

/** The figures as a text table. */
export function formatTable(figures: readonly Figure[]): string {
  const rows = [['figure', 'reached', 'of ceiling', 'bar', '']]
  for (const { name, reached, ratio, bar, ok } of figures)
    rows.push([
      name,
      reached,
      ratio === undefined ? '' : `${Math.round(ratio * 100)} %`,
      bar,
      ok ? 'ok' : 'BELOW',
    ])
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n')
}

export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN
}

export function perSecond(value: number): string {
  return `${Math.round(value).toLocaleString('en-US')}/s`
}

export function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}

/** As the kernel counts resident memory: thousands of kB. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1000).toFixed(1)} MB`
}

/** The figures as a Markdown table. */
export function markdownTable(figures: readonly Figure[]): string {
  const rows = figures.map(
    ({ name, reached, ratio, bar, ok }) =>
      `| ${name} | ${ok ? reached : `**${reached}**`} | ${ratio === undefined ? '' : `${Math.round(ratio * 100)} %`} | ${bar} | ${ok ? 'met' : '**below**'} |`,
  )
  return ['| figure | reached | of ceiling | bar | |', '| --- | --- | --- | --- | --- |', ...rows].join('\n')
}
