import { type FleetClient, logIn } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aptRootProblem } from '../apt-root/create-apt-root.ts'
import { bootProblem } from '../systemd-host/boot-root.ts'
import { type Machine, startMachine } from './machine.ts'
import { createNetwork, type Network, networkProblem } from './network.ts'
import { createReleases, type Releases } from './releases.ts'

const problem = aptRootProblem() ?? bootProblem() ?? networkProblem()
if (problem !== undefined) console.warn(`Skipped: installing on clean machines. ${problem}`)

describe.skipIf(problem !== undefined)('on clean machines', () => {
  let releases: Releases
  let network: Network
  let server: Machine
  let vm: Machine
  let client: FleetClient
  let url = ''
  let archive = ''

  const install = (env: Record<string, string> = {}): ReturnType<Machine['run']> =>
    server.paste(
      'rm -rf /root/un && mkdir /root/un && tar -xzf "$ARCHIVE" -C /root/un --strip-components=1 && sh /root/un/install.sh',
      {
        NO_PROMPT: '1',
        ARCHIVE: archive,
        ...env,
      },
    )

  beforeAll(async () => {
    releases = createReleases()
    network = createNetwork()
    server = await startMachine(network, { suite: 'bookworm', flavour: 'machine' })
    vm = await startMachine(network, { suite: 'trixie', flavour: 'machine-node' })
    url = `http://${server.address}:8000`
    archive = server.give(releases.build('0.9.1', 1))
  })

  afterAll(async () => {
    await vm?.remove()
    await server?.remove()
    network?.remove()
    releases?.remove()
  })

  test('the server is installed from an archive, without asking, with a Node of its own', async () => {
    const done = install({ UI_PASSWORD: 'correct horse', UI_USER: 'olga' })
    expect(done.stderr).toBe('')
    expect(done).toMatchObject({ exitCode: 0 })
    expect(done.stdout).toContain('FleetUpdate 0.9.1 runs')
    client = await logIn(url, 'olga', 'correct horse')
    expect((await client.request('GET', '/api/health')).body).toMatchObject({ version: '0.9.1' })
    expect(server.run(['stat', '-c', '%U:%G %a', '/opt/orchestrator/.env']).stdout).toBe(
      'root:orchestrator 640\n',
    )
  })

  test('running it again changes nothing', () => {
    const before = server.fingerprint('/opt/orchestrator', '/etc/orchestrator-server', '/etc/systemd/system')
    const pid = server.run(['systemctl', 'show', '-P', 'MainPID', 'orchestrator-server']).stdout
    expect(install()).toMatchObject({ exitCode: 0, stderr: '' })
    expect(server.fingerprint('/opt/orchestrator', '/etc/orchestrator-server', '/etc/systemd/system')).toBe(
      before,
    )
    expect(server.run(['systemctl', 'show', '-P', 'MainPID', 'orchestrator-server']).stdout).toBe(pid)
  })

  test('a pasted line brings a machine into the fleet', async () => {
    const made = await client.request<{ command: string; token: string }>('POST', '/api/enrolment/tokens', {
      agentId: 'vm-01',
    })
    const line = made.body.command
    expect(line).toContain(`${url}/install/agent.sh`)
    const done = vm.paste(line)
    expect(`${done.stdout}${done.stderr}`).toContain('The agent 0.9.1 runs as "vm-01"')
    expect(done.exitCode).toBe(0)
    const agent = await client.until('the agent', async () => {
      const found = await client.agent('vm-01')
      return found?.status === 'online' && found
    })
    expect(agent.agentVersion).toBe('0.9.1')
  })
})
