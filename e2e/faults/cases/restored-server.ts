import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { auditCommands, isClean, isTerminal } from '../audit.ts'
import type { Fault } from '../fault.ts'
import { createLoad } from '../load.ts'
import { startRig } from '../rig.ts'

/** The server's data folder is put back to what it was before agents worked. */
export const restoredServer: Fault = {
  name: 'restored-server',
  title: 'the server is restored from an old backup',
  required: '0 re-run of what agents already did; what the backup holds ends truly',
  sabotage: {
    what: 'the agent forgets what it did once the server acknowledged it',
    file: 'agent',
    edits: [
      {
        find: /await (\w+)\((\w+)\.file\("acknowledged"\),/,
        replace: 'known.delete(commandId),await rm($2.dir,{recursive:!0,force:!0}),await $1("/dev/null",',
      },
    ],
  },
  async run(lab) {
    const rig = await startRig(lab)
    const ids = ['vm-1', 'vm-2']
    const agents = ids.map((id) => rig.startAgent(id))
    await rig.online(ids)
    const load = createLoad(lab, rig)
    for (let i = 0; i < 4; i++) await load.submit(lab.random.pick(ids))
    await load.audit()
    lab.note('first commands ended')
    // Queued while nobody is there: the backup holds them as not yet run.
    for (const agent of agents) await agent.kill('SIGTERM')
    const count = lab.scale({ smoke: 8, full: 60 })
    for (let i = 0; i < count; i++) await load.submit(lab.random.pick(ids))
    const inBackup = [...load.owed]
    await rig.fleet.server.kill('SIGTERM')
    const backup = join(lab.folder, 'backup')
    await cp(rig.dataDir, backup, { recursive: true })

    lab.note('backup taken')
    await rig.fleet.server.restart()
    for (const agent of agents) agent.start()
    for (let i = 0; i < count; i++) await load.submit(lab.random.pick(ids))
    lab.note('more submitted')
    const before = await load.audit()
    lab.note(`before: ${JSON.stringify(before)}`)
    await rig.fleet.server.kill('SIGTERM')
    lab.note('stopped')
    await rm(rig.dataDir, { recursive: true, force: true })
    await cp(backup, rig.dataDir, { recursive: true })
    await rig.fleet.server.restart()
    lab.note('restored')
    await rig.online(ids)
    const ended = async (): Promise<boolean> => {
      const views = await Promise.all(inBackup.map(({ id }) => rig.patient.command(id)))
      return views.every(isTerminal)
    }
    await rig.patient.until('what the backup holds to end', ended, 90_000).catch(() => undefined)
    const after = await auditCommands(rig.patient, inBackup, rig.ledger)
    // Output that was acknowledged before the backup was taken back is gone from the agents, and the result says what it was.
    const { lost, startedTwice, untrue, notTerminal } = after
    return {
      passed: isClean(before) && lost + startedTwice + untrue + notTerminal === 0,
      reached: `${inBackup.length} commands in the backup, ${load.owed.length - inBackup.length} after it: ${startedTwice} re-run, ${lost} of the backup lost, ${untrue} untrue, ${notTerminal} not terminal; output of ${after.wrongOutput} no longer on the agents${after.examples[0] ? ` (${after.examples[0]})` : ''}`,
    }
  },
}
