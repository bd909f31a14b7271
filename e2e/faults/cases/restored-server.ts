import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { auditCommands, isClean, isTerminal, type Owed } from '../audit.ts'
import type { Fault } from '../fault.ts'
import { seconds } from '../figures.ts'
import { createLoad, type Load } from '../load.ts'
import { type Rig, startRig } from '../rig.ts'
import { runServerProgram } from '../server-program.ts'

/** A backup is taken while everything works; agents go on; the database is damaged, and the backup put back. */
export const restoredServer: Fault = {
  name: 'restored-server',
  title: 'a backup is taken under load; later the database is damaged and the backup put back',
  required:
    '0 re-run of what agents did, 0 accepted before the backup lost, what it holds ends truly; backup: loop stall ≤ 250 ms',
  sabotage: {
    what: 'the agent forgets what it did once the server acknowledged it',
    file: 'agent',
    edits: [
      {
        find: /await (\w+)\((\w+)\.file\("acknowledged"\),/,
        replace: 'await rm($2.dir,{recursive:!0,force:!0}),await $1("/dev/null",',
      },
      { find: /has:\(commandId,epoch\)=>/, replace: 'has:(commandId,epoch)=>!1&&' },
    ],
  },
  async run(lab) {
    const rig = await startRig(lab)
    const ids = ['vm-1', 'vm-2']
    const agents = ids.map((id) => rig.startAgent(id))
    const [, away] = agents
    await rig.online(ids)
    const load = createLoad(lab, rig)
    for (let i = 0; i < 4; i++) await load.submit(lab.random.pick(ids))
    for (let i = 0; i < lab.scale({ smoke: 1, full: 4 }); i++)
      await rig.patient.submit('vm-1', 'lab.pour', { kind: 'lines', bytes: 8 * 1024 * 1024 }, `pour-${i}`)
    await load.audit()
    lab.note('first commands ended')
    // Queued while one agent is away: the backup holds them as not yet run.
    await away?.kill('SIGTERM')
    const count = lab.scale({ smoke: 8, full: 60 })
    for (let i = 0; i < count; i++) await load.submit(lab.random.pick(ids))
    const backup = join(lab.folder, 'backup.tar.gz')
    const accepted = [...load.owed]
    const taken = await whileWorking(rig, load, () => runServerProgram(lab, rig.dataDir, ['backup', backup]))
    lab.note(`${taken.answer.output}took ${seconds(taken.answer.seconds * 1000)}`)

    away?.start()
    for (let i = 0; i < count; i++) await load.submit(lab.random.pick(ids))
    const before = await load.audit()
    lab.note(`before: ${JSON.stringify(before)}`)
    await rig.fleet.server.kill('SIGKILL')
    await damage(join(rig.dataDir, 'core.db'))
    const refused = await runServerProgram(lab, rig.dataDir, ['restore', backup])
    const restored = await runServerProgram(lab, rig.dataDir, ['restore', backup, '--force'])
    lab.note(`${refused.output}${restored.output}`)
    if (restored.code !== 0) throw new Error(`The restore failed: ${restored.output}`)
    await rig.fleet.server.restart()
    const patient = await rig.logInAgain()
    await patient.until('the agents to be online', async () => {
      const views = await Promise.all(ids.map((id) => patient.agent(id)))
      return views.every((view) => view?.status === 'online')
    })
    const held: Owed[] = []
    for (const owed of load.owed)
      if (
        accepted.includes(owed) ||
        (await patient.request('GET', `/api/commands/${owed.id}`)).status === 200
      )
        held.push(owed)
    const ended = async (): Promise<boolean> => {
      const views = await Promise.all(held.map(({ id }) => patient.command(id)))
      return views.every(isTerminal)
    }
    await patient.until('what the backup holds to end', ended, 90_000).catch(() => undefined)
    const after = await auditCommands(patient, held, rig.ledger)
    // Output that was acknowledged after the backup was made is gone from the agents, and the result says what it was.
    const { lost, startedTwice, untrue, notTerminal } = after
    if (notTerminal > 0) for (const agent of agents) lab.note(`${agent.id}: ${agent.output().slice(-2000)}`)
    const isTaken = taken.answer.code === 0 && refused.output.includes('FLT_BACKUP_TARGET')
    return {
      passed:
        isClean(before) &&
        isTaken &&
        taken.stallMs <= 250 &&
        lost + startedTwice + untrue + notTerminal === 0,
      reached: `${held.length} commands in the backup, ${load.owed.length - held.length} after it: ${startedTwice} re-run, ${lost} accepted before it lost, ${untrue} untrue, ${notTerminal} not terminal; backup in ${seconds(taken.answer.seconds * 1000)}, slowest answer meanwhile ${taken.stallMs.toFixed(0)} ms; output of ${after.wrongOutput} no longer on the agents${after.examples[0] ? ` (${after.examples[0]})` : ''}`,
    }
  },
}

/** Submits and asks all the time until the work is done; tells the slowest answer of the server. */
async function whileWorking<T>(
  rig: Rig,
  load: Load,
  work: () => Promise<T>,
): Promise<{ readonly answer: T; readonly stallMs: number }> {
  let isDone = false
  let stallMs = 0
  const submitting = (async () => {
    while (!isDone) await load.submit('vm-1')
  })()
  const asking = (async () => {
    while (!isDone) {
      const askedMs = performance.now()
      await rig.client.request('GET', '/api/health')
      stallMs = Math.max(stallMs, performance.now() - askedMs)
      await pause(10)
    }
  })()
  const answer = await work()
  isDone = true
  await Promise.all([submitting, asking])
  return { answer, stallMs }
}

/** Overwrites some pages in the middle. */
async function damage(file: string): Promise<void> {
  const handle = await open(file, 'r+')
  await handle.write(Buffer.alloc(8192, 0x55), 0, 8192, 8192)
  await handle.close()
}
