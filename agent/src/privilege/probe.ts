import type { ChildProcess } from 'node:child_process'
import { createCheck, parseJson } from '../check.ts'
import { supervise } from '../run.ts'
import { ProbeAnswer } from '../schemas.ts'

const answerCheck = createCheck(ProbeAnswer)

/**
 * Asks the root helper what would work. An empty list means that sudo did not let the agent ask: the sudoers line is missing. Rejects
 * where sudo is not installed or hangs.
 */
export async function probeThroughHelper(ask: () => ChildProcess): Promise<ProbeAnswer> {
  const { exitCode, stdout } = await supervise(ask(), { name: 'sudo', timeoutMs: 20_000 })
  const answers = exitCode === 0 ? parseJson(stdout) : []
  return answerCheck.accepts(answers) ? answers : []
}
