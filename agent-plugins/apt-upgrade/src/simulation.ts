/** One package that apt would install or upgrade. */
export interface SimulatedChange {
  readonly name: string
  /** null where it is not installed yet. */
  readonly from: string | null
  readonly to: string
}

/** What apt would do, in the order in which it would do it. */
export interface Simulation {
  readonly changes: readonly SimulatedChange[]
  readonly removals: readonly string[]
  /** Upgradable, but not by this operation. */
  readonly kept: readonly string[]
  /** Those of them that apt itself says are deferred due to phasing. */
  readonly deferred: readonly string[]
}

const headings = {
  kept: 'The following packages have been kept back:',
  deferred: 'The following upgrades have been deferred due to phasing:',
} as const

/**
 * Reads `apt-get --simulate --verbose-versions` (English): the `Inst` and `Remv` lines, and the two sections of what stays. Throws where
 * the changes found are fewer than apt's own count: an answer that was not understood must not look like "nothing to do".
 */
export function parseSimulation(text: string): Simulation {
  const lines = text.split('\n')
  const changes = lines.flatMap((line) => readInst(line) ?? [])
  const [, upgraded, added] = /^(\d+) upgraded, (\d+) newly installed, /m.exec(text) ?? []
  if (upgraded === undefined || changes.length < Number(upgraded) + Number(added)) {
    throw new Error(
      'The answer of apt-get was not understood; compare "apt-get --simulate upgrade" on the host.',
    )
  }
  return {
    changes,
    removals: lines.flatMap((line) => /^Remv (\S+)/.exec(line)?.[1] ?? []),
    kept: [...section(lines, headings.kept), ...section(lines, headings.deferred)],
    deferred: section(lines, headings.deferred),
  }
}

function readInst(line: string): SimulatedChange | undefined {
  const [, name, from, to] = /^Inst (\S+) (?:\[([^\]]+)\] )?\((\S+) /.exec(line) ?? []
  if (name === undefined || to === undefined) return undefined
  return { name, from: from ?? null, to }
}

function section(lines: readonly string[], heading: string): string[] {
  const start = lines.indexOf(heading)
  if (start === -1) return []
  const end = lines.findIndex((line, index) => index > start && !line.startsWith(' '))
  return lines
    .slice(start + 1, end === -1 ? undefined : end)
    .flatMap((line) => /^ +(\S+)/.exec(line)?.[1] ?? [])
}
