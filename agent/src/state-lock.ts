import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createCheck } from './check.ts'
import { createDurably, makeFolder, readJson } from './durable-file.ts'
import { agentError, describeError } from './errors.ts'
import { isRunning, recordOf } from './process-record.ts'
import { ProcessRecord } from './schemas.ts'

const recordCheck = createCheck(ProcessRecord)

/**
 * Makes this process the only agent on a state folder, which it creates where needed. Throws FLT_AGENT_RUNNING where another lives, FLT_AGENT_STATE_DIR where
 * the folder cannot be used. A lock of a process that is gone is taken over. Returns how to release it.
 */
export async function lockState(stateDir: string, pid: number): Promise<() => Promise<void>> {
  const file = join(stateDir, 'agent.lock')
  try {
    await makeFolder(stateDir)
    const record = JSON.stringify(recordOf(pid) ?? { pid, startTicks: '', bootId: '' })
    if (!(await createDurably(file, record))) {
      const holder = await readJson(file, recordCheck)
      if (holder && isRunning(holder))
        throw agentError('FLT_AGENT_RUNNING', { pid: holder.pid, path: stateDir })
      await rm(file, { force: true })
      if (!(await createDurably(file, record)))
        throw agentError('FLT_AGENT_RUNNING', { pid: '?', path: stateDir })
    }
  } catch (error) {
    if (error instanceof Error && 'status' in error) throw error
    throw agentError(
      'FLT_AGENT_STATE_DIR',
      { path: stateDir, problem: describeError(error) },
      { cause: error },
    )
  }
  return () => rm(file, { force: true })
}
