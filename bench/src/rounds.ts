/**
 * Measures something and its ceiling in turn, so that both see the same machine; the medians. A first round of each warms up and does
 * not count.
 */
export async function alternate(
  rounds: number,
  measure: () => Promise<number>,
  ceiling: () => Promise<number>,
): Promise<{ readonly reached: number; readonly ceiling: number; readonly ratio: number }> {
  const own: number[] = []
  const bare: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const [reached, possible] = [await measure(), await ceiling()]
    if (round === 0) continue
    own.push(reached)
    bare.push(possible)
  }
  const [reached, possible] = [median(own), median(bare)]
  return { reached, ceiling: possible, ratio: reached / possible }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
