/** How long one question may take. */
export const patienceMs = 8000

/** What one check found. `bad`: the agent cannot do its work; `warn`: it can, but somebody should look. */
export interface Finding {
  readonly check: string
  readonly level: 'ok' | 'warn' | 'bad'
  /** One sentence without a full stop. */
  readonly says: string
  /** What to do; with `warn` and `bad`. */
  readonly fix?: string
}

export function ok(check: string, says: string): Finding {
  return { check, level: 'ok', says }
}

export function warn(check: string, says: string, fix: string): Finding {
  return { check, level: 'warn', says, fix }
}

export function bad(check: string, says: string, fix: string): Finding {
  return { check, level: 'bad', says, fix }
}

/** The findings as people read them, one line a check and one more for what to do. */
export function findingLines(findings: readonly Finding[]): readonly string[] {
  const width = Math.max(...findings.map(({ check }) => check.length))
  const lines = findings.flatMap(({ check, level, says, fix }) => [
    `${{ ok: 'ok  ', warn: 'warn', bad: 'BAD ' }[level]}  ${check.padEnd(width)}  ${says}`,
    ...(fix === undefined ? [] : [`      ${' '.repeat(width)}  → ${fix}`]),
  ])
  const count = (level: Finding['level']): number => findings.filter((one) => one.level === level).length
  const [failed, warned] = [count('bad'), count('warn')]
  const last =
    failed + warned === 0 ? 'All is well.' : `${failed} to fix, ${warned} to look at, ${count('ok')} fine.`
  return [...lines, '', last]
}
