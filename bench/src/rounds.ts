/**
 * Measures something and its ceiling in turn, so that both see the same machine. A first round of each warms up and does not count. The
 * ratio is the median of the rounds' own ratios: what else the machine does weighs on both halves of a round alike.
 */
export async function alternate(
  rounds: number,
  measure: () => Promise<number>,
  ceiling: () => Promise<number>,
): Promise<{ readonly reached: number; readonly ratio: number }> {
  const reached: number[] = []
  const ratios: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const own = await measure()
    const bare = await ceiling()
    if (round === 0) continue
    reached.push(own)
    ratios.push(own / bare)
  }
  return { reached: median(reached), ratio: median(ratios) }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
