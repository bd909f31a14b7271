import { execFileSync, spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { type FleetClient, logIn } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aptRootProblem } from '../apt-root/create-apt-root.ts'
import { repository } from '../repository.ts'
import { bootProblem } from '../systemd-host/boot-root.ts'
import { existsIn, type Machine, startMachine } from './machine.ts'
import { createNetwork, type Network, networkProblem } from './network.ts'
import { createReleases, type Releases } from './releases.ts'

const problem = aptRootProblem() ?? bootProblem() ?? networkProblem()
if (problem !== undefined) console.warn(`Skipped: the Debian packages. ${problem}`)
const lintian = spawnSync('lintian', ['--version']).error === undefined
if (!lintian) console.warn('Skipped: the judgement of lintian. It is not installed: apt-get install lintian')

const machines = [
  ['Debian 12, without Node', { suite: 'bookworm', flavour: 'machine' }],
  [
    "Debian 13, whose own Node does not let root's program become another user",
    { suite: 'trixie', flavour: 'machine-node' },
  ],
] as const

describe.skipIf(problem !== undefined).each(machines)(
  'the Debian packages on %s',
  { timeout: 600_000 },
  (_name, kind) => {
    let releases: Releases
    let network: Network
    let machine: Machine
    let client: FleetClient
    let url = ''

    const debs = (version: string, counter: number): { server: string; agent: string } => {
      const archive = releases.build(version, counter)
      const program = join(repository, 'deploy/deb/build-deb.mjs')
      const said = execFileSync(
        process.execPath,
        [program, '--archive', archive, '--out', dirname(archive)],
        {
          encoding: 'utf8',
        },
      )
      const [server = '', agent = ''] = said.trim().split('\n')
      return { server, agent }
    }
    const dpkg = (args: string, env: Record<string, string> = {}) => {
      const done = machine.paste(`dpkg ${args}`, env)
      expect(`${done.stdout}${done.stderr}`).not.toContain('✗')
      expect(done).toMatchObject({ exitCode: 0 })
      return done.stdout
    }
    const version = async () => (await client.request<{ version: string }>('GET', '/api/health')).body.version

    beforeAll(async () => {
      releases = createReleases()
      network = createNetwork()
      machine = await startMachine(network, kind)
      url = `http://${machine.address}:8000`
    })

    afterAll(async () => {
      await machine?.remove()
      network?.remove()
      releases?.remove()
    })

    test.skipIf(!lintian)('lintian finds nothing in them, and no reason given for nothing', () => {
      const { server, agent } = debs('0.9.1', 1)
      const said = spawnSync('lintian', ['--allow-root', '--display-info', server, agent], {
        encoding: 'utf8',
      })
      const findings = said.stdout.split('\n').filter((line) => /^[EW]:|unused-override/.test(line))
      expect(findings).toEqual([])
    })

    test('the server is installed and runs', async () => {
      const file = machine.give(debs('0.9.1', 1).server)
      dpkg(`-i ${file}`, {
        UI_USER: 'olga',
        UI_PASSWORD: 'correct horse',
        SERVER_PSK: 'a-secret-for-tests-0123456789',
      })
      client = await logIn(url, 'olga', 'correct horse')
      expect(await version()).toBe('0.9.1')
    })

    test('the program for people works as root, and leaves nothing of root behind', () => {
      const done = machine.run(['fleetupdate', 'user', 'list', '--json'])
      expect(done.stderr).toBe('')
      expect(JSON.parse(done.stdout)).toMatchObject({ items: [{ name: 'olga', role: 'admin' }] })
      expect(machine.run(['find', '/var/lib/orchestrator-server', '!', '-user', 'orchestrator']).stdout).toBe(
        '',
      )
    })

    test('an agent is installed where it is told its fleet', async () => {
      const file = machine.give(debs('0.9.1', 1).agent)
      dpkg(`-i ${file}`, { SERVER_URL: url, AGENT_ID: 'vm-deb', AGENT_PSK: 'a-secret-for-tests-0123456789' })
      await client.until('the agent', async () => (await client.agent('vm-deb'))?.status === 'online')
    })

    test('both are upgraded, and keep settings, data and identity', async () => {
      const next = debs('0.9.2', 2)
      dpkg(`-i ${machine.give(next.server)} ${machine.give(next.agent)}`)
      // The connection that was kept to the old server is found closed by the first request.
      client = await client.until('the newer server', () =>
        logIn(url, 'olga', 'correct horse').catch(() => false),
      )
      expect(await version()).toBe('0.9.2')
      await client.until('the newer agent', async () => {
        const agent = await client.agent('vm-deb')
        return agent?.status === 'online' && agent.agentVersion === '0.9.2'
      })
    })

    test('removed, they leave what they say; purged, nothing', () => {
      dpkg('-r fleetupdate-agent fleetupdate-server')
      expect(existsIn(machine, '/opt/orchestrator/server')).toBe(false)
      expect(existsIn(machine, '/opt/orchestrator/agent')).toBe(false)
      expect(existsIn(machine, '/etc/orchestrator-server/master.key')).toBe(true)
      expect(existsIn(machine, '/var/lib/orchestrator-agent/identity.json')).toBe(true)
      dpkg('-P fleetupdate-agent fleetupdate-server')
      const left = machine.paste(
        'ls -d /opt/orchestrator* /etc/orchestrator* /var/lib/orchestrator* /etc/systemd/system/orchestrator* /usr/lib/fleetupdate* /usr/local/bin/fleetupdate*',
      )
      expect(left.stdout).toBe('')
      expect(machine.run(['getent', 'passwd', 'orchestrator']).stdout).toBe('')
    })
  },
)
