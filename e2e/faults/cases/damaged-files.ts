import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeAudit, isClean, isTerminal } from '../audit.ts'
import type { Fault, Lab } from '../fault.ts'
import { createLoad } from '../load.ts'
import { type AgentProcess, type Rig, startRig } from '../rig.ts'

/** What the disk did to a file. */
const kinds = ['truncated', 'emptied', 'overwritten'] as const

/** Files of the agent and of the server are damaged while they are stopped. */
export const damagedFiles: Fault = {
  name: 'damaged-files',
  title: 'journal, output, results, identity, databases, checkpoints and master key are damaged',
  required:
    'each is said with a code and kept aside or left as it is; the rest goes on; nothing silently gone',
  sabotage: {
    what: 'the agent does not look whether its files are damaged',
    file: 'agent',
    edits: [
      {
        find: /async function setDamagedAside\((\w+)\)\s*\{/,
        replace: 'async function setDamagedAside($1){return [];',
      },
    ],
  },
  async run(lab) {
    const rig = await startRig(lab)
    const agent = rig.startAgent('vm-1')
    const other = rig.startAgent('vm-2')
    await rig.online(['vm-1', 'vm-2'])
    const wrong: string[] = []
    const check = (what: string, holds: boolean): void => {
      lab.note(`${holds ? 'right' : 'WRONG'}: ${what}`)
      if (!holds) wrong.push(what)
    }
    const files = ['request.json', 'claimed', 'result.json', 'final.json', 'output.log'] as const
    // An output that is overwritten has its length still: nobody can know what it said.
    const pairs = everyPair(files).filter(([file, kind]) => file !== 'output.log' || kind !== 'overwritten')
    const tried =
      lab.size === 'full'
        ? pairs
        : files.map((file) => lab.random.pick(pairs.filter(([one]) => one === file)))
    for (const [file, kind] of tried) await damageAttempt({ lab, rig, agent, check }, file, kind)
    await damageIdentity(lab, agent, check)
    await damageServer(lab, rig, check)
    const load = createLoad(lab, rig)
    for (const id of ['vm-1', 'vm-2']) for (let i = 0; i < 3; i++) await load.submit(id)
    const audit = await load.audit()
    check('afterwards both agents work', isClean(audit) && audit.states.succeeded === 6)
    await other.kill('SIGTERM')
    const cases = tried.length + 7
    return {
      passed: wrong.length === 0,
      reached:
        wrong.length === 0
          ? `${cases} of ${cases} damages right; ${describeAudit(audit)}`
          : `wrong: ${wrong.join('; ')}`,
    }
  },
}

type Check = (what: string, holds: boolean) => void

interface Place {
  readonly lab: Lab
  readonly rig: Rig
  readonly agent: AgentProcess
  readonly check: Check
}

/** An attempt that the agent did not report yet: its agent died, the disk did its part, the agent comes back. */
async function damageAttempt(
  { rig, agent, lab, check }: Place,
  file: string,
  kind: (typeof kinds)[number],
): Promise<void> {
  // Long enough that the agent is dead before it ends, also on a quick machine.
  const input = { ledger: rig.ledger, lines: 20, pauseMs: 75 }
  const { id } = await rig.patient.submit('vm-1', 'lab.work', input, `damage-${file}-${kind}`)
  await rig.patient.until('the start', async () => readFileSync(rig.ledger, 'utf8').includes(id))
  await agent.kill('SIGKILL')
  await rig.patient.until('the end of the runner', async () =>
    readFileSync(rig.ledger, 'utf8').includes(`${id} done`),
  )
  const folder = join(agent.stateDir, 'attempts', `${id}.1`)
  await rig.patient.until('its result', async () => readdirSync(folder).includes('result.json'))
  if (file === 'final.json') writeFileSync(join(folder, file), '{"type":"result"', { mode: 0o600 })
  damage(join(folder, file), kind, lab)
  agent.start()
  await rig.patient
    .until(`the end with a damaged ${file}`, async () => isTerminal(await rig.patient.command(id)), 45_000)
    .catch(() => undefined)
  const { state, reason = '' } = await rig.patient.command(id)
  const isSaid =
    file === 'output.log'
      ? /lost output/.test(reason)
      : agent.output().includes('FLT_ATTEMPT_DAMAGED') && readdirSync(folder).includes(`${file}.damaged`)
  const expected = file === 'result.json' ? ['interrupted'] : ['succeeded']
  const reasonSays = file !== 'result.json' || reason.includes('damaged result.json')
  check(`${file} ${kind}: ${state} (${reason})`, expected.includes(state) && isSaid && reasonSays)
}

async function damageIdentity(lab: Lab, agent: AgentProcess, check: Check): Promise<void> {
  const file = join(agent.stateDir, 'identity.json')
  const whole = readFileSync(file)
  await agent.kill('SIGTERM')
  damage(file, lab.random.pick(kinds), lab)
  const damaged = readFileSync(file)
  agent.start()
  const code = await agent.ended()
  check(
    `a damaged identity ends the agent with a code (${code})`,
    agent.output().includes('FLT_AGENT_IDENTITY_DAMAGED') && code !== 0,
  )
  check('a damaged identity is left as it is', readFileSync(file).equals(damaged))
  writeFileSync(file, whole)
  agent.start()
}

async function damageServer(lab: Lab, rig: Rig, check: Check): Promise<void> {
  const { server } = rig.fleet
  const file = (name: string): string => join(rig.dataDir, name)
  const refusesToStart = async (
    name: string,
    code: string,
    change: (path: string) => void,
  ): Promise<void> => {
    await server.kill('SIGTERM')
    const whole = readFileSync(file(name))
    change(file(name))
    const said = await server.restart().then(
      () => '',
      () => server.output().slice(-2000),
    )
    await server.kill('SIGKILL')
    check(`${name} (${code})`, said.includes(code))
    writeFileSync(file(name), whole)
    await server.restart()
  }
  await refusesToStart('core.db', 'FLT_STORE_CORRUPT', (path) => damage(path, 'overwritten', lab))
  await refusesToStart('core.db', 'FLT_STORE_LOST', (path) => damage(path, 'emptied', lab))
  await refusesToStart('master.key', 'FLT_CONFIG_INVALID', (path) => damage(path, 'truncated', lab))

  await server.kill('SIGTERM')
  const database = file('plugins-data/log-stream.db')
  const whole = readFileSync(database)
  damage(database, 'overwritten', lab)
  const checkpoints = file('audit-checkpoints.jsonl')
  writeFileSync(checkpoints, `{"chain":"server","seq":\n${readFileSync(checkpoints, 'utf8')}`)
  await server.restart()
  const { body } = await rig.patient.request<{ items: { id: string; state: string; reason?: string }[] }>(
    'GET',
    '/api/plugins',
  )
  const plugin = body.items.find(({ id }) => id === 'log-stream')
  const others = body.items.filter(({ id }) => id !== 'log-stream')
  check(
    `a damaged database of a plugin fails that plugin alone (${plugin?.state}: ${plugin?.reason})`,
    plugin?.state === 'failed' &&
      /damaged/.test(plugin.reason ?? '') &&
      others.every(({ state }) => state === 'active'),
  )
  check('damaged checkpoints are said', server.output().includes('FLT_AUDIT_CHECKPOINTS'))
  await server.kill('SIGTERM')
  writeFileSync(database, whole)
  await server.restart()
  await rig.online(['vm-1', 'vm-2'])
}

function damage(path: string, kind: (typeof kinds)[number], lab: Lab): void {
  const bytes = readFileSync(path)
  if (kind === 'emptied') writeFileSync(path, '')
  else if (kind === 'truncated')
    writeFileSync(path, bytes.subarray(0, lab.random.between(1, Math.max(1, bytes.length - 2))))
  else
    writeFileSync(path, Buffer.concat([Buffer.alloc(Math.min(bytes.length, 100), 0x55), bytes.subarray(100)]))
}

function everyPair(files: readonly string[]): (readonly [string, (typeof kinds)[number]])[] {
  return files.flatMap((file) => kinds.map((kind) => [file, kind] as const))
}
