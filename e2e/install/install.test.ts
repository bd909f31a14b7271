import { type FleetClient, logIn } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aptRootProblem } from '../apt-root/create-apt-root.ts'
import { bootProblem } from '../systemd-host/boot-root.ts'
import { type Machine, startMachine, traces } from './machine.ts'
import { createNetwork, type Network, networkProblem } from './network.ts'
import { createReleases, type Releases } from './releases.ts'

const problem = aptRootProblem() ?? bootProblem() ?? networkProblem()
if (problem !== undefined) console.warn(`Skipped: installing on clean machines. ${problem}`)

describe.skipIf(problem !== undefined)('on clean machines', () => {
  let releases: Releases
  let network: Network
  let server: Machine
  let vm: Machine
  let second: Machine
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
    second = await startMachine(network, { suite: 'bookworm', flavour: 'machine' })
    url = `http://${server.address}:8000`
    archive = server.give(releases.build('0.9.1', 1))
  })

  afterAll(async () => {
    await second?.remove()
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

  test('the program fleetupdate asks the running server, as root', () => {
    const asked = server.run(['fleetupdate', 'agent', 'list', '--json'])
    expect(asked.stderr).toBe('')
    expect(JSON.parse(asked.stdout)).toEqual({ items: [] })
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

  const online = (id: string, version: string) =>
    client.until(
      `${id} with ${version}`,
      async () => {
        const found = await client.agent(id)
        return found?.status === 'online' && found.agentVersion === version && found
      },
      60_000,
    )
  const rollout = (id: string) => client.request<Rollout>('GET', `/api/plugins/agent-update/rollouts/${id}`)
  const begin = async (body: object): Promise<string> => {
    const made = await client.request<Rollout>('POST', '/api/plugins/agent-update/rollouts', body)
    expect(made.status).toBe(201)
    return made.body.id
  }
  const ended = (id: string) =>
    client.until(
      'the end of the rollout',
      async () => {
        const { body } = await rollout(id)
        return body.state !== 'running' && body
      },
      300_000,
    )
  /** Connections from before a restart are dead, and this process may not have noticed. */
  const answers = (version: string): Promise<unknown> =>
    client.until(
      `the server ${version}`,
      () =>
        client.request<{ version: string }>('GET', '/api/health').then(
          ({ status, body }) => status === 200 && body.version === version,
          () => false,
        ),
      60_000,
    )
  const updateServer = async (file: string, version: string): Promise<void> => {
    archive = server.give(file)
    const done = install()
    expect(`${done.stdout}${done.stderr}`).toContain(`FleetUpdate ${version} runs`)
    expect(done.exitCode).toBe(0)
    await answers(version)
  }

  test('a second line brings another, which has no Node', async () => {
    const made = await client.request<{ command: string }>('POST', '/api/enrolment/tokens', {
      agentId: 'vm-02',
    })
    const done = second.paste(made.body.command)
    expect(`${done.stdout}${done.stderr}`).toContain('fetching')
    expect(done.exitCode).toBe(0)
    await online('vm-02', '0.9.1')
    // Facts come in rounds; shorter ones make a shorter test.
    for (const machine of [vm, second])
      machine.paste(
        'echo "  poll_interval: 5" >> /etc/orchestrator-agent/config.yaml; systemctl restart orchestrator-agent',
      )
    expect(second.run(['ls', '/opt/orchestrator/node']).stdout).toMatch(/^\d+\.\d+\.\d+-x64\n$/)
  })

  test('the systemd of each machine judges the units as within the bars', () => {
    const exposure = (machine: Machine, unit: string): number => {
      const { stdout } = machine.run(['systemd-analyze', 'security', '--no-pager', unit])
      return Number(/Overall exposure level for \S+: (\d+\.\d+)/.exec(stdout)?.[1] ?? Number.NaN)
    }
    expect(exposure(server, 'orchestrator-server.service')).toBeLessThanOrEqual(1.5)
    for (const machine of [vm, second])
      expect(exposure(machine, 'orchestrator-agent.service')).toBeLessThanOrEqual(1.5)
  })

  test('its real updates are seen, and one is taken while the package restarts the agent', async () => {
    await vm.root.installPackage('fleet-demo', '1.0')
    await vm.root.offer('fleet-demo', '2.0', {
      slowSeconds: 3,
      scripts: { preinst: 'systemctl restart --no-block orchestrator-agent' },
    })
    await client.finished((await client.submit('vm-01', 'os-updates.refresh')).id)
    await client.until(
      'the update',
      async () => (await client.agent('vm-01'))?.facets['os-updates.outdated'] === true,
    )
    const done = await client.finished((await client.submit('vm-01', 'apt-upgrade.run', { mode: 'all' })).id)
    expect(done).toMatchObject({
      state: 'succeeded',
      result: { packages: [expect.objectContaining({ name: 'fleet-demo', to: '2.0' })] },
    })
  })

  test('doctor finds all well, and says what is not', async () => {
    const well = vm.run(['fleetupdate-agent', 'doctor', '--json'])
    expect(well.stderr).toBe('')
    const report = JSON.parse(well.stdout)
    expect(report.findings.filter(({ level }: { level: string }) => level === 'bad')).toEqual([])
    expect(well.exitCode).toBe(0)
    vm.run(['sed', '-i', 's/:8000/:8001/', '/etc/orchestrator-agent/config.yaml'])
    const ill = vm.run(['fleetupdate-agent', 'doctor'])
    expect(ill.stdout).toMatch(/BAD {3}tcp .*ECONNREFUSED[\s\S]*→ Start the server there/)
    expect(ill.exitCode).toBe(1)
    vm.run(['sed', '-i', 's/:8001/:8000/', '/etc/orchestrator-agent/config.yaml'])
  })

  test('both come back after a reboot', async () => {
    await server.reboot()
    await vm.reboot()
    await answers('0.9.1')
    await online('vm-01', '0.9.1')
    await online('vm-02', '0.9.1')
  })

  test('the server is updated, and goes back', async () => {
    const first = archive
    await updateServer(releases.build('0.9.2', 2), '0.9.2')
    await online('vm-01', '0.9.1')
    archive = first
    expect(install().exitCode).toBe(0)
    await answers('0.9.1')
    await online('vm-01', '0.9.1')
  })

  test('a bad build of the agent halts at the first machine, which goes back by itself', async () => {
    await updateServer(releases.buildBroken('0.9.3', 3), '0.9.3')
    await online('vm-01', '0.9.1')
    await online('vm-02', '0.9.1')
    await seesOffer('0.9.3')
    const halted = await ended(await begin({ stages: [1] }))
    expect(halted).toMatchObject({
      state: 'halted',
      reason: expect.stringContaining('a fault that no test found'),
    })
    const after = await Promise.all(['vm-01', 'vm-02'].map((id) => online(id, '0.9.1')))
    expect(after.map(({ facets }) => facets['agent-update.rolledBack'])).toContain(false)
  }, 300_000)

  test('a good one goes to one, then to all, under running commands', async () => {
    await updateServer(releases.build('0.9.4', 4), '0.9.4')
    await online('vm-01', '0.9.1')
    await online('vm-02', '0.9.1')
    await seesOffer('0.9.4')
    await vm.root.offer('fleet-demo', '3.0', { slowSeconds: 12 })
    const running = await client.submit('vm-01', 'apt-upgrade.run', { mode: 'all' })
    const done = await ended(await begin({ stages: [1, '100%'] }))
    expect(done).toMatchObject({ state: 'done', reason: null })
    await online('vm-01', '0.9.4')
    await online('vm-02', '0.9.4')
    expect(await client.finished(running.id)).toMatchObject({ state: 'succeeded' })
  }, 300_000)

  test('both go back to what ran before, when an operator says so', async () => {
    const ids = ['vm-01', 'vm-02']
    await client.until('what ran before', async () => {
      const agents = await Promise.all(ids.map((id) => client.agent(id)))
      return agents.every((agent) => agent?.facets['agent-update.before'] === '0.9.1')
    })
    const { body } = await client.request<{ items: Rollout[] }>('GET', '/api/plugins/agent-update/rollouts')
    const back = await client.request<Rollout>(
      'POST',
      `/api/plugins/agent-update/rollouts/${body.items[0]?.id}/back`,
    )
    expect(back).toMatchObject({ status: 201, body: { kind: 'back', version: '0.9.4' } })
    expect(await ended(back.body.id)).toMatchObject({ state: 'done', reason: null })
    for (const [id, machine] of [
      ['vm-01', vm],
      ['vm-02', second],
    ] as const) {
      await online(id, '0.9.1')
      expect(machine.run(['readlink', '/opt/orchestrator/agent/previous']).stdout).toBe('0.9.4\n')
    }
  }, 300_000)

  test('uninstalled, nothing is left but what is said', () => {
    expect(vm.paste('sh /opt/orchestrator/agent/current/install.sh --uninstall').stdout).toContain(
      'These stay: /etc/orchestrator-agent',
    )
    expect(vm.run(['sh', '-c', traces]).stdout.trim().split('\n')).toEqual([
      '/etc/orchestrator-agent',
      '/var/lib/orchestrator-agent',
      '/var/lib/orchestrator-helper',
    ])
    second.paste('sh /opt/orchestrator/agent/current/install.sh --purge')
    expect(second.run(['sh', '-c', traces]).stdout).toBe('')
    expect(second.run(['id', 'orchestrator']).exitCode).toBe(1)
    server.paste('sh /opt/orchestrator/server/current/install.sh --purge')
    expect(server.run(['sh', '-c', traces]).stdout).toBe('')
  })

  const seesOffer = (version: string) =>
    client.until(
      `the offer of ${version}`,
      async () => {
        const agents = await Promise.all(['vm-01', 'vm-02'].map((id) => client.agent(id)))
        const offers = agents.map(
          (agent) => (agent?.facts['agent-update']?.release as { offered?: string })?.offered,
        )
        return offers.every((offered) => offered === version)
      },
      120_000,
    )
})

interface Rollout {
  readonly id: string
  readonly state: string
  readonly reason: string | null
}
