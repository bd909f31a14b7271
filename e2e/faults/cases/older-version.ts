import { auditCommands, isClean, isTerminal } from '../audit.ts'
import type { Build, Fault, Lab } from '../fault.ts'
import { createLoad, type Load } from '../load.ts'
import { buildOlder, olderProblem, olderVersion } from '../older-build.ts'
import { startProxy } from '../proxy.ts'
import { type AgentProcess, type Rig, startRig } from '../rig.ts'

/** An agent of an older version with a server of this one, and the other way round; then the older side is replaced where it stands. */
export const olderVersionWorks: Fault = {
  name: 'older-version',
  title:
    'an agent of an older version with this server, an older server with this agent; then the older one is updated',
  required:
    'both ways: enrolment, facts, output, results, a cancel, kill -9 of each, polls; the update loses nothing',
  sizes: ['full'],
  problem: olderProblem,
  sabotage: {
    what: 'the agent names a member of its hello anew',
    file: 'agent',
    edits: [{ find: /type:"hello",protocol:/, replace: 'type:"hello",protocolVersion:' }],
  },
  async run(lab) {
    const older = await buildOlder(lab)
    lab.note(`built ${olderVersion()}`)
    const wrong: string[] = []
    let steps = 0
    const pairs = [
      { name: 'older agent, this server', agent: older, server: lab.build },
      { name: 'this agent, older server', agent: lab.build, server: older },
    ]
    for (const [i, { name, agent, server }] of pairs.entries()) {
      const step: Step = async (what, act) => {
        steps++
        const problem = await act().then(
          () => undefined,
          (error: unknown) => String(error),
        )
        lab.note(`${name}: ${what}${problem === undefined ? '' : `: ${problem}`}`)
        if (problem !== undefined) wrong.push(`${name}: ${what} (${problem})`)
      }
      await tryPair({ ...lab, folder: `${lab.folder}/pair-${i}` }, { agent, server }, step)
    }
    return {
      passed: wrong.length === 0,
      reached:
        wrong.length === 0
          ? `${steps} of ${steps} steps with ${olderVersion()}`
          : `${wrong.length} of ${steps} steps with ${olderVersion()} failed: ${wrong.join('; ')}`,
    }
  },
}

type Step = (what: string, act: () => Promise<unknown>) => Promise<void>

async function tryPair(
  lab: Lab,
  pair: { readonly agent: Build; readonly server: Build },
  step: Step,
): Promise<void> {
  // The programs of a side are those of its build; what they keep is in the folder of the pair.
  const rig = await startRig({ ...lab, build: { ...pair.server, agent: pair.agent.agent } })
  const agent = rig.startAgent('vm-1')
  await step('enrols and comes online', () => rig.online(['vm-1'], 30_000))
  await step('tells its facts', () => untilFacts(rig))
  await work(lab, rig, agent, step)
  await step('works over polls', () => overPolls(lab, rig))

  // Where it stands: the state of the agent, the data of the server.
  const former = createLoad(lab, rig)
  await step('runs a last command', () => ended(former, ['vm-1']))
  await agent.kill('SIGTERM')
  await rig.fleet.server.kill('SIGTERM')
  const port = Number(new URL(rig.url).port)
  const updated = await startRig(lab, { port })
  const agentNow = updated.startAgent('vm-1')
  await step('is online after the update', () => updated.online(['vm-1'], 30_000))
  await step('knows what it ran before the update', async () => {
    const { lost } = await auditCommands(updated.patient, former.owed, updated.ledger)
    if (lost > 0) throw new Error(`${lost} commands are gone`)
    for (const { id } of former.owed)
      if ((await updated.patient.output(id)) === '') throw new Error(`the output of ${id} is gone`)
  })
  await work(lab, updated, agentNow, step)
}

/** What agents and servers do with each other all day, and what happens to them. */
async function work(lab: Lab, rig: Rig, agent: AgentProcess, step: Step): Promise<void> {
  await step('runs commands with output and results', () => ended(createLoad(lab, rig), ['vm-1']))
  await step('cancels a command', async () => {
    const id = await long(rig)
    await rig.client.request('POST', `/api/commands/${id}/cancel`)
    const { state } = await rig.client.finished(id)
    if (state !== 'cancelled') throw new Error(`it is ${state}`)
  })
  await step('goes on when the agent is killed', async () => {
    const load = createLoad(lab, rig)
    for (let i = 0; i < 3; i++) await load.submit('vm-1')
    await agent.kill('SIGKILL')
    agent.start()
    await clean(load)
  })
  await step('goes on when the server is killed', async () => {
    const load = createLoad(lab, rig)
    for (let i = 0; i < 3; i++) await load.submit('vm-1')
    await rig.fleet.server.kill('SIGKILL')
    await rig.fleet.server.restart()
    await rig.online(['vm-1'])
    await clean(load)
  })
}

async function overPolls(lab: Lab, rig: Rig): Promise<void> {
  const proxy = await startProxy(Number(new URL(rig.url).port))
  lab.onEnd(() => proxy.close())
  proxy.mode = 'no-upgrade'
  const agent = rig.startAgent('vm-2', { url: proxy.url })
  await rig.online(['vm-2'])
  await ended(createLoad(lab, rig), ['vm-2'])
  await agent.kill('SIGTERM')
}

async function untilFacts(rig: Rig): Promise<unknown> {
  const round = async (): Promise<boolean> =>
    ((await rig.patient.agent('vm-1'))?.facts?.lab as { round?: number } | undefined)?.round !== undefined
  return rig.patient.until('its facts', round, 30_000)
}

/** A command that goes on for a minute, once it runs. */
async function long(rig: Rig): Promise<string> {
  const input = { ledger: rig.ledger, lines: 1200, pauseMs: 50 }
  const { id } = await rig.client.submit('vm-1', 'lab.work', input)
  await rig.patient.until('its start', async () => {
    const view = await rig.patient.command(id)
    return view.startedAt !== undefined && !isTerminal(view)
  })
  return id
}

async function ended(load: Load, ids: readonly string[]): Promise<void> {
  for (const id of ids) for (let i = 0; i < 4; i++) await load.submit(id)
  const { succeeded = 0 } = await clean(load)
  if (succeeded !== load.owed.length) throw new Error(`${succeeded} of ${load.owed.length} succeeded`)
}

async function clean(load: Load): Promise<Readonly<Record<string, number>>> {
  const audit = await load.audit()
  if (!isClean(audit)) throw new Error(audit.examples.join('; '))
  return audit.states
}
