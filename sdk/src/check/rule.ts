import type { Subject } from './subject.ts'

/** One small rule that a plugin keeps; `problems` answers a sentence with the fix for each place that breaks it. */
export interface Rule {
  readonly name: string
  problems(subject: Subject): readonly string[] | Promise<readonly string[]>
}
