import { rules } from './rules.ts'
import type { Subject } from './subject.ts'

export interface Finding {
  readonly rule: string
  /** What is wrong and how to fix it. */
  readonly problem: string
}

/** Holds a built plugin against every rule; empty for a sound one. Its server part or executor is loaded, nothing of it is started. */
export async function checkPlugin(subject: Subject): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const { name, problems } of rules)
    for (const problem of await problems(subject)) findings.push({ rule: name, problem })
  return findings
}

export { lockMigrations } from './migration-lock.ts'
export { readSubject, type Subject } from './subject.ts'
