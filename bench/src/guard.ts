import type { Figure } from './table.ts'

/** What the guard measures: quick, and a ratio to a ceiling of the same run, so that a slow or busy machine weighs on both alike. */
export const guardNames: readonly string[] = ['heartbeats', 'frames', 'lines']

/** A ratio may be this part of the committed one; less is a regression, not noise. */
const tolerance = 0.7

/** One sentence for each ratio that fell clearly below the committed one, or was not measured. */
export function regressions(
  figures: readonly Figure[],
  committed: Readonly<Record<string, number>>,
): readonly string[] {
  return Object.entries(committed).flatMap(([name, before]) => {
    const ratio = figures.find((figure) => figure.name === name)?.ratio
    if (ratio === undefined) return [`"${name}" of bench/ratios.json was not measured.`]
    if (ratio >= before * tolerance) return []
    const [now, was] = [ratio, before].map((value) => `${Math.round(value * 100)} %`)
    return [
      `"${name}" fell to ${now} of its ceiling; bench/ratios.json says ${was}. Find out why with: npm run bench -- --profile profiles`,
    ]
  })
}
