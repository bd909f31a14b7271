import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createCheck } from '../check.ts'
import { readJson, syncFolder, writeDurably } from '../durable-file.ts'
import { UpdateOutcome, UpdateTrial } from '../schemas.ts'

/** What root remembers about updates, across crashes and power cuts. */
export interface UpdateRecords {
  trial(): Promise<UpdateTrial | undefined>
  begin(trial: UpdateTrial): Promise<void>
  /** Keeps how it ended, for everybody to read, and ends the trial. */
  end(outcome: UpdateOutcome): Promise<void>
  /** Keeps why an update was not begun; one that is on trial goes on. */
  refuse(id: string, reason: string): Promise<void>
  outcome(): Promise<UpdateOutcome | undefined>
}

export const outcomeName = 'update-outcome.json'
const trialCheck = createCheck(UpdateTrial)
const outcomeCheck = createCheck(UpdateOutcome)

export function createUpdateRecords(folder: string): UpdateRecords {
  // The unit of the trial starts only where this file exists.
  const trialFile = join(folder, 'update.json')
  const outcomeFile = join(folder, outcomeName)
  const keep = (outcome: UpdateOutcome): Promise<void> =>
    writeDurably(outcomeFile, `${JSON.stringify(outcome)}\n`, 0o644)
  return {
    trial: () => readJson(trialFile, trialCheck),
    async begin(trial) {
      await rm(outcomeFile, { force: true })
      await writeDurably(trialFile, `${JSON.stringify(trial)}\n`)
    },
    async end(outcome) {
      await keep(outcome)
      await rm(trialFile, { force: true })
      await syncFolder(folder)
    },
    refuse: (id, reason) =>
      keep({ id, from: '', to: '', result: 'refused', at: new Date().toISOString(), reason }),
    outcome: () => readJson(outcomeFile, outcomeCheck),
  }
}
