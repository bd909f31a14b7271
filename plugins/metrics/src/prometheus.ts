/** One metric of the text format: a name, its help, its kind, and a value for each set of labels. */
export interface MetricFamily {
  readonly name: string
  readonly help: string
  readonly type: 'gauge' | 'counter'
  readonly samples: readonly {
    readonly labels?: Readonly<Record<string, string>>
    readonly value: number | null
  }[]
}

export const prometheusType = 'text/plain; version=0.0.4; charset=utf-8'

/** The Prometheus text format, version 0.0.4. Samples without a value are left out: unknown is not 0. */
export function prometheusText(families: readonly MetricFamily[]): string {
  const lines = families.flatMap(({ name, help, type, samples }) => {
    const known = samples.filter(({ value }) => value !== null)
    if (known.length === 0) return []
    return [
      `# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`,
      `# TYPE ${name} ${type}`,
      ...known.map(({ labels, value }) => `${name}${labelText(labels)} ${value}`),
    ]
  })
  return lines.map((line) => `${line}\n`).join('')
}

function labelText(labels: Readonly<Record<string, string>> = {}): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(value: string): string {
  return value
    .replace(/\\/g, '\\\\')
    .replace(/"/g, '\\"')
    .replace(/\r?\n|\r/g, '\\n')
}
