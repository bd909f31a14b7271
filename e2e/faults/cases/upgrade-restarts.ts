import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AptRoot, aptRootProblem, createAptRoot } from '../../apt-root/create-apt-root.ts'
import { installAgent } from '../../fleet/agent-in-root.ts'
import { bootProblem, bootRoot } from '../../systemd-host/boot-root.ts'
import type { Fault } from '../fault.ts'
import { aptAgentId, startPackageFleet } from './apt-rig.ts'

const node = '/opt/runtime/node'

/** What packages do to the machine they are installed on, as a script each. */
const deeds = [
  ['the agent is restarted', 'systemctl restart --no-block orchestrator-agent'],
  [
    'node is replaced and the agent restarted',
    `cp ${node} ${node}.new; mv -f ${node}.new ${node}; systemctl restart --no-block orchestrator-agent`,
  ],
  ['systemd re-executes itself', 'systemctl daemon-reexec'],
  ['dbus is restarted', 'systemctl restart --no-block dbus'],
  [
    'the agent is stopped, and started a while later',
    'systemctl stop --no-block orchestrator-agent; systemd-run --quiet --on-active=4 systemctl start orchestrator-agent',
  ],
] as const

/** On a booted host: the very upgrade that runs restarts what carries it. */
export const upgradeRestarts: Fault = {
  name: 'upgrade-restarts',
  title: 'the agent, node, systemd or dbus restarted by the very upgrade that runs',
  required: '0 upgrades killed, exit code right, the log complete, nothing left running',
  sizes: ['full'],
  problem: () => aptRootProblem() ?? bootProblem(),
  sabotage: {
    what: 'the runner is a plain child of the agent, in its unit',
    file: 'agent',
    edits: [{ find: /if\s*\(!(\w+)\.startUnit\)/, replace: 'if(true)' }],
  },
  async run(lab) {
    const rig = await startPackageFleet(lab)
    const root = await createAptRoot({ flavour: 'systemd' })
    lab.onEnd(() => root.dispose())
    await root.installPackage('fleet-demo', '1.0')
    const programs = { agent: lab.build.agentFolder, executors: lab.build.executors }
    installAgent(root, { id: aptAgentId, url: rig.url, psk: 'a-secret-for-tests-0123456789', programs })
    prepareService(root)
    const host = await bootRoot(root)
    lab.onEnd(() => host.powerOff())
    host.run(['systemctl', 'start', 'orchestrator-agent'])
    await rig.online([aptAgentId])
    const wrong: string[] = []
    let killed = 0
    const rounds = lab.scale({ smoke: 1, full: 2 })
    for (let round = 0; round < rounds; round++)
      for (const [i, [what, script]] of deeds.entries()) {
        const version = `${2 + i + round * deeds.length}.0`
        const phase = lab.random.pick(['preinst', 'postinst'] as const)
        await root.offer('fleet-demo', version, {
          scripts: { preinst: 'sleep 0.5', [phase]: `${script}\nsleep 2\necho done` },
        })
        const { id } = await rig.patient.submit(
          aptAgentId,
          'apt-upgrade.run',
          { mode: 'all' },
          `up-${version}`,
        )
        const { state, reason, exitCode, result } = await rig.client.finished(id, 120_000)
        const text = await rig.patient.output(id)
        lab.note(`${what} (${phase}): ${state} ${reason ?? ''}`)
        if (state !== 'succeeded') killed++
        if (state !== 'succeeded' || exitCode !== 0 || !JSON.stringify(result).includes(version))
          wrong.push(`${what}: ${state} (${reason})`)
        else if (!text.includes(`Setting up fleet-demo (${version})`))
          wrong.push(`${what}: the log is not complete`)
        const units = (): string =>
          host.run(['systemctl', 'list-units', '--plain', '--no-legend', 'fleetupdate-*']).stdout.trim()
        // The result is told before its runner ends.
        await rig.client
          .until('the end of its unit', async () => units() === '', 5_000)
          .catch(() => undefined)
        const left = units()
        if (left !== '') wrong.push(`${what}: still there: ${left}`)
        await rig.online([aptAgentId])
      }
    const cases = deeds.length * rounds
    return {
      passed: wrong.length === 0,
      reached:
        wrong.length === 0
          ? `${cases} upgrades: 0 killed, exit code 0 each`
          : `${killed} of ${cases} killed; ${wrong.join('; ')}`,
    }
  },
}

/** The agent as a service, with a node of its own that a package can replace. */
function prepareService(root: AptRoot): void {
  mkdirSync(join(root.directory, 'opt/runtime'), { recursive: true })
  copyFileSync(process.execPath, join(root.directory, node))
  mkdirSync(join(root.directory, 'etc/systemd/system'), { recursive: true })
  writeFileSync(
    join(root.directory, 'etc/systemd/system/orchestrator-agent.service'),
    `[Unit]
Description=FleetUpdate agent
[Service]
Environment=AGENT_CONFIG=/opt/fleetupdate/config.yaml NO_PROMPT=1
ExecStart=${node} /opt/fleetupdate/agent/main.js
Restart=always
RestartSec=0.2
`,
  )
}
