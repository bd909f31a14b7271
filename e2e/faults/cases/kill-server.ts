import { setTimeout as pause } from 'node:timers/promises'
import { auditCommands, describeAudit, isClean, isTerminal, type Owed } from '../audit.ts'
import type { Fault } from '../fault.ts'
import { startRig } from '../rig.ts'

/** The server dies by SIGKILL again and again while programs submit and agents work. */
export const killServer: Fault = {
  name: 'kill-server',
  title: 'kill -9 the server at random moments while many agents work',
  required:
    '500 kills, 1,000 commands, 20 agents: 0 acknowledged lost, 0 started twice, 0 not terminal after 60 s',
  sabotage: {
    what: 'a server that starts takes up only what was never offered',
    file: 'server',
    edits: [
      {
        find: /for \(const row of (stored\d*\.open)\) (open\d*)\.add\(row\);/,
        replace: 'for (const row of $1) if (row.state === "queued") $2.add(row);',
      },
    ],
  },
  async run(lab) {
    const kills = lab.scale({ smoke: 12, full: 500 })
    const total = lab.scale({ smoke: 60, full: 1000 })
    const agents = Array.from({ length: lab.scale({ smoke: 4, full: 20 }) }, (_, i) => `vm-${i + 1}`)
    const rig = await startRig(lab)
    const { random } = lab
    const processes = agents.map((id) => rig.startAgent(id))
    await rig.online(agents)

    const owed: Owed[] = []
    let killing = true
    const submit = async (): Promise<void> => {
      for (let i = 0; i < total; i++) {
        const lines = random.between(0, 40)
        const input = { ledger: rig.ledger, lines, pauseMs: random.between(0, 20) }
        const name = random.pick(['lab.work', 'lab.serial'] as const)
        const key = `command-${i}`
        const { id } = await rig.patient.submit(random.pick(agents), name, input, key)
        owed.push({ id, lines, name })
        // Spread over the time in which the server is killed, however long that takes.
        while (killing && owed.length / total > (killed + 1) / kills) await pause(10)
      }
    }
    let killed = 0
    const kill = async (): Promise<void> => {
      for (; killed < kills; killed++) {
        await pause(random.between(0, 500))
        await rig.fleet.server.kill('SIGKILL')
        // An agent that waits out its back-off would see none of the next kills.
        if (killed % 4 === 0) await restart(random.pick(processes))
        await rig.fleet.server.restart()
        if (killed % 25 === 0) lab.note(`${killed} kills, ${owed.length} commands accepted`)
      }
      killing = false
    }
    await Promise.all([submit(), kill()])
    await rig.online(agents, 120_000)
    const backMs = performance.now()
    await rig.patient
      .until('all commands to end', async () => {
        const views = await Promise.all(owed.map(({ id }) => rig.patient.command(id)))
        return views.every(isTerminal)
      })
      .catch(() => undefined)
    const seconds = ((performance.now() - backMs) / 1000).toFixed(0)
    const audit = await auditCommands(rig.patient, owed, rig.ledger)
    return {
      passed: isClean(audit),
      reached: `${kills} kills, ${describeAudit(audit)}, ${audit.states.succeeded} succeeded; all ended ${seconds} s after the agents were back`,
    }
  },
}

async function restart(agent: { kill(signal: NodeJS.Signals): Promise<void>; start(): void }): Promise<void> {
  await agent.kill('SIGKILL')
  agent.start()
}
