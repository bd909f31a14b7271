import { type Audit, auditCommands, isTerminal, type Owed } from './audit.ts'
import type { Lab } from './fault.ts'
import type { Rig } from './rig.ts'

/** Commands of the lab that were accepted, and what became of them. */
export interface Load {
  readonly owed: readonly Owed[]
  /** Submits one `lab.work` or `lab.serial` of random length to one of the agents. */
  submit(agentId: string): Promise<string>
  /** Adds one that was submitted in another way. */
  owe(command: Owed): void
  /** Waits until all have ended, or the time is over, and compares with the ledger. */
  audit(timeoutMs?: number): Promise<Audit>
}

export function createLoad(lab: Lab, rig: Rig, { lines = 30, pauseMs = 20 } = {}): Load {
  const owed: Owed[] = []
  return {
    owed,
    async submit(agentId) {
      const name = lab.random.pick(['lab.work', 'lab.serial'] as const)
      const input = {
        ledger: rig.ledger,
        lines: lab.random.between(0, lines),
        pauseMs: lab.random.between(0, pauseMs),
      }
      const { id } = await rig.patient.submit(
        agentId,
        name,
        input,
        `load-${owed.length}-${lab.random.next()}`,
      )
      owed.push({ id, lines: input.lines, name })
      return id
    },
    owe: (command) => void owed.push(command),
    async audit(timeoutMs = 60_000) {
      const all = async (): Promise<boolean> => {
        for (const { id } of owed) if (!isTerminal(await rig.patient.command(id))) return false
        return true
      }
      // What has not ended by then is counted by the audit.
      await rig.patient.until('all commands to end', all, timeoutMs).catch(() => undefined)
      return auditCommands(rig.patient, owed, rig.ledger)
    },
  }
}
