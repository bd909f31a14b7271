import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { auditCommands, describeAudit, isClean, isTerminal, type Owed } from '../audit.ts'
import type { Fault, Lab } from '../fault.ts'
import { type AgentProcess, type Rig, startRig } from '../rig.ts'

const phases = ['offer', 'start', 'output', 'end', 'result'] as const

/** The agent dies by SIGKILL in every phase of an attempt, and comes back. */
export const killAgent: Fault = {
  name: 'kill-agent',
  title: 'kill -9 the agent around the accept, in the output and around the result',
  required: '300 kills: 0 double starts, results ≤ 30 s after it is back, output hash equal 300/300',
  sabotage: {
    what: 'the agent does not take up its old attempts when it starts',
    file: 'agent',
    edits: [{ find: /for\(let entry\d* of await journal\d*\.open\(\)\)/, replace: 'for(let entry of [])' }],
  },
  async run(lab) {
    const rounds = lab.scale({ smoke: 20, full: 300 })
    const rig = await startRig(lab)
    const agents = Array.from({ length: lab.scale({ smoke: 3, full: 5 }) }, (_, i) =>
      rig.startAgent(`vm-${i + 1}`),
    )
    await rig.online(agents.map(({ id }) => id))
    const owed: Owed[] = []
    const stuck: string[] = []
    let slowestMs = 0
    let next = 0
    const work = async (agent: AgentProcess): Promise<void> => {
      while (next < rounds) {
        const round = next++
        const lines = lab.random.between(1, 60)
        const input = { ledger: rig.ledger, lines, pauseMs: lab.random.between(0, 8) }
        const { id } = await rig.patient.submit(agent.id, 'lab.work', input, `round-${round}`)
        owed.push({ id, lines, name: 'lab.work' })
        await reach(phases[round % phases.length] ?? 'offer', { rig, lab, id })
        await agent.kill('SIGKILL')
        // Time for the server to notice, or not.
        await pause(lab.random.between(0, 100))
        agent.start()
        const backMs = performance.now()
        await rig.patient
          .until('the end', async () => isTerminal(await rig.patient.command(id)), 45_000)
          .catch(async () => {
            const { state } = await rig.patient.command(id)
            const host = (await rig.patient.agent(agent.id))?.status
            const last = agent.output().trim().split('\n').at(-1)
            stuck.push(
              `round ${round} (killed at its ${phases[round % phases.length]}) ${state}, ${agent.id} ${host}: ${last}`,
            )
            lab.note(agent.output().slice(-3000))
          })
        slowestMs = Math.max(slowestMs, performance.now() - backMs)
        if (round % 25 === 0) lab.note(`round ${round}`)
      }
    }
    await Promise.all(agents.map(work))
    const audit = await auditCommands(rig.patient, owed, rig.ledger)
    const { succeeded = 0, interrupted = 0 } = audit.states
    const passed = isClean(audit) && succeeded + interrupted === rounds && slowestMs <= 30_000
    const equal = rounds - audit.wrongOutput
    return {
      passed,
      reached: `${rounds} kills: ${describeAudit(audit)}, slowest result ${(slowestMs / 1000).toFixed(1)} s, hash equal ${equal}/${rounds} (${succeeded} succeeded, ${interrupted} interrupted before their command began)${stuck.length > 0 ? `; after 45 s: ${stuck.join('; ')}` : ''}`,
    }
  },
}

interface Attempt {
  readonly rig: Rig
  readonly lab: Lab
  readonly id: string
}

/** Waits for the phase in which the agent is to die, and a random moment more. */
async function reach(phase: (typeof phases)[number], { rig, lab, id }: Attempt): Promise<void> {
  const begun = (): boolean => readFileSync(rig.ledger, 'utf8').includes(id)
  const done = (): boolean => readFileSync(rig.ledger, 'utf8').includes(`${id} done`)
  if (phase === 'offer') await pause(lab.random.between(0, 12))
  else if (phase === 'start')
    await rig.patient.until('the start', async () => (await rig.patient.command(id)).startedAt !== undefined)
  else if (phase === 'output') {
    await waitFor(begun)
    await pause(lab.random.between(0, 250))
  } else if (phase === 'end') {
    await waitFor(done)
    await pause(lab.random.between(0, 10))
  } else await rig.patient.until('the end', async () => isTerminal(await rig.patient.command(id)))
}

async function waitFor(holds: () => boolean): Promise<void> {
  while (!holds()) await pause(2)
}
