import type { FleetVersions } from '../fleet-versions.ts'

/** One band of the picture: agents of one version, or of all the rare ones together. */
export interface VersionBand {
  readonly key: string
  /** undefined: not told yet, or several. */
  readonly version: string | undefined
  readonly kind: 'offered' | 'other' | 'unknown' | 'rest'
  readonly agents: number
  /** 0 to 100. */
  readonly percent: number
  readonly colour: string
}

const most = 6
/** Of versions that are not the offered one, in their order. */
const colours = ['info', 'warning', 'unknown', 'danger'] as const

/** The fleet as bands, the offered version first, then by size; beyond six the smallest are one. */
export function bandsOf({ versions, offered, total }: FleetVersions): readonly VersionBand[] {
  const percent = (agents: number): number => (total === 0 ? 0 : (100 * agents) / total)
  const isOffered = (version: string | null): boolean => version !== null && version === offered
  const sorted = [...versions].sort((a, b) => Number(isOffered(b.version)) - Number(isOffered(a.version)))
  const named = sorted.length > most ? sorted.slice(0, most - 1) : sorted
  const rest = sorted.slice(named.length).reduce((sum, { agents }) => sum + agents, 0)
  let next = 0
  const bands: VersionBand[] = named.map(({ version, agents }) => {
    const kind = version === null ? 'unknown' : isOffered(version) ? 'offered' : 'other'
    const tone = kind === 'offered' ? 'ok' : kind === 'unknown' ? 'neutral' : colours[next++ % colours.length]
    return {
      ...{ key: version ?? '', version: version ?? undefined, kind, agents, percent: percent(agents) },
      colour: `var(--fleet-${tone}-solid)`,
    }
  })
  if (rest === 0) return bands
  const colour = 'var(--fleet-line-strong)'
  return [
    ...bands,
    { key: '*', version: undefined, kind: 'rest', agents: rest, percent: percent(rest), colour },
  ]
}
