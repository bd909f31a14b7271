/** How many agents a stage takes: a number, or a share of all (`10%`, at least one more). */
export type StageSize = number | `${number}%`

export const usualStages: readonly StageSize[] = [1, '10%', '100%']

/**
 * The stage of each agent, in the given order: one, then some, then all. The last stage takes whoever is left.
 *
 * @example
 * stagesOf(['a', 'b', 'c'], [1])   // [0, 1, 1]
 */
export function stagesOf(agents: readonly string[], sizes: readonly StageSize[]): readonly number[] {
  const ends: number[] = []
  for (const size of sizes) {
    const before = ends.at(-1) ?? 0
    const wanted =
      typeof size === 'number'
        ? before + size
        : Math.max(before + 1, Math.ceil((agents.length * Number.parseFloat(size)) / 100))
    ends.push(Math.min(wanted, agents.length))
    if (ends.at(-1) === agents.length) break
  }
  return agents.map((_, index) => {
    const stage = ends.findIndex((end) => index < end)
    return stage < 0 ? ends.length : stage
  })
}
