import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FleetClient, logIn } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aptRootProblem } from '../apt-root/create-apt-root.ts'
import { bootProblem } from '../systemd-host/boot-root.ts'
import { type Machine, startMachine, traces } from './machine.ts'
import { createNetwork, type Network, networkProblem } from './network.ts'
import { createReleases, type Releases } from './releases.ts'

const problem = aptRootProblem() ?? bootProblem() ?? networkProblem()
if (problem !== undefined) console.warn(`Skipped: power cuts while the server is updated. ${problem}`)

/** Read by bash before the installer: notes each command of its own shell, and kills it before the one that is CUT. */
const cutter = `set -T
before_each() {
  [ "$BASHPID" = "$$" ] || return 0
  printf '%s\\n' "\${1%%$'\\n'*}" >>/root/steps
  if [ "$1" = "\${CUT:-}" ]; then kill -9 $$; fi
}
trap 'before_each "$BASH_COMMAND"' DEBUG
`
/** What changes something on the machine; before each of them the power goes once. */
const changes =
  /^(mv|cp|ln|put|rm -rf|systemctl (stop|daemon-reload|enable|restart)|install_units|switch_to|undo_nothing|tell)\b/

describe.skipIf(problem !== undefined)('a machine that loses power while its server is updated', () => {
  let releases: Releases
  let network: Network
  let server: Machine
  let client: FleetClient
  const versions = ['0.9.1', '0.9.2'] as const

  const install = (version: string, env: Record<string, string> = {}) =>
    server.paste(`rm -f /root/steps; BASH_ENV=$CUTTER bash /root/${version}/install.sh`, {
      NO_PROMPT: '1',
      UI_PASSWORD: 'correct horse',
      ...env,
    })
  /** What nobody wrote to the disk is gone: else it would be no power cut. */
  const cutPower = async (): Promise<void> => {
    const witness = join(server.root.directory, 'root/not-on-the-disk')
    writeFileSync(witness, 'lost')
    await server.cutPower()
    expect(existsSync(witness) && readFileSync(witness, 'utf8')).not.toBe('lost')
  }
  const steps = () => server.run(['cat', '/root/steps']).stdout.trim().split('\n')
  const give = (file: string, version: string): void => {
    server.give(file, 'server.tar.gz')
    const unpack = `mkdir /root/${version} && tar -xzf /root/server.tar.gz -C /root/${version} --strip-components=1 && rm /root/server.tar.gz && sync`
    expect(server.paste(unpack)).toMatchObject({ exitCode: 0 })
  }
  /** Logs in anew: what was known before the cut must be there. */
  const running = async (): Promise<string> => {
    const deadline = performance.now() + 60_000
    for (;;) {
      const answer = await logIn(`http://${server.address}:8000`, 'admin', 'correct horse').catch(
        () => undefined,
      )
      if (answer) {
        client = answer
        const { body } = await client.request<{ version: string }>('GET', '/api/health')
        return body.version
      }
      if (performance.now() > deadline)
        throw new Error(server.run(['journalctl', '-n', '30', '--no-pager']).stdout)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  const people = async () =>
    (await client.request<{ items: { name: string }[] }>('GET', '/api/users')).body.items.map(
      ({ name }) => name,
    )

  beforeAll(async () => {
    releases = createReleases()
    network = createNetwork()
    server = await startMachine(network, { suite: 'bookworm', flavour: 'machine', ownDisk: true })
    writeFileSync(join(server.root.directory, 'root/cutter'), cutter)
    for (const [index, version] of versions.entries()) give(releases.build(version, index + 1), version)
    expect(install('0.9.1')).toMatchObject({ exitCode: 0, stderr: '' })
    expect(await running()).toBe('0.9.1')
    expect(
      (
        await client.request('POST', '/api/users', {
          name: 'olga',
          password: 'correct horse',
          role: 'viewer',
        })
      ).status,
    ).toBe(201)
  })

  afterAll(async () => {
    await server?.remove()
    network?.remove()
    releases?.remove()
  })

  test('runs the old version or the new one afterwards, and the installer, run again, ends what was begun', async () => {
    expect(install('0.9.2', { CUTTER: '/root/cutter' })).toMatchObject({ exitCode: 0, stderr: '' })
    const cuts = [...new Set(steps())].filter((step) => changes.test(step))
    expect(cuts.length).toBeGreaterThan(10)
    let from: string = '0.9.2'
    const outcomes = new Set<string>()
    for (const step of cuts) {
      const to = from === '0.9.2' ? '0.9.1' : '0.9.2'
      // So that the new version is copied each time.
      server.run(['rm', '-rf', `/opt/orchestrator/server/${to}`])
      server.run(['sync'])
      const cut = install(to, { CUTTER: '/root/cutter', CUT: step })
      expect(cut.signal, `${step}\n${cut.stderr}`).toBe('SIGKILL')
      await cutPower()
      const version = await running()
      expect([from, to], step).toContain(version)
      expect(await people(), step).toEqual(['admin', 'olga'])
      outcomes.add(version === from ? 'old' : 'new')
      expect(install(to), step).toMatchObject({ exitCode: 0 })
      expect(await running(), step).toBe(to)
      expect(await people(), step).toEqual(['admin', 'olga'])
      from = to
    }
    expect([...outcomes].sort()).toEqual(['new', 'old'])
    console.log(`Power was cut ${cuts.length} times, before: ${cuts.join(' · ')}`)
  }, 600_000)

  test('keeps nothing of what was begun', () => {
    const left =
      'ls -d /var/tmp/fleetupdate-* /var/lib/.orchestrator-* /opt/orchestrator/server/.part-* /etc/systemd/system/*.new'
    expect(server.paste(left).stdout).toBe('')
  })

  test('that gets a version which does not start goes back to the one before, with its data', async () => {
    const before = await running()
    give(releases.buildBrokenServer('0.9.3', 3), '0.9.3')
    const done = install('0.9.3')
    expect(done.exitCode).toBe(1)
    expect(done.stderr).toContain('a fault that no test found')
    expect(done.stderr).toMatch(/did not become ready[\s\S]*what ran before runs again/)
    expect(await running()).toBe(before)
    expect(await people()).toEqual(['admin', 'olga'])
    expect(server.run(['ls', '/opt/orchestrator/server']).stdout).not.toContain('0.9.3')
  })

  test('at its first installation can begin anew', async () => {
    server.paste('sh /opt/orchestrator/server/current/install.sh --purge')
    expect(server.run(['sh', '-c', traces]).stdout).toBe('')
    expect(install('0.9.1', { CUTTER: '/root/cutter' })).toMatchObject({ exitCode: 0, stderr: '' })
    const first = steps()
    const wanted = ['put "$STAGE/master.key"', 'put "$STAGE/env"', 'systemctl restart']
    for (const what of wanted) {
      server.paste('sh /opt/orchestrator/server/current/install.sh --purge')
      const step = first.find((line) => line.startsWith(what)) ?? what
      expect(install('0.9.1', { CUTTER: '/root/cutter', CUT: step }).signal, what).toBe('SIGKILL')
      await cutPower()
      expect(install('0.9.1'), what).toMatchObject({ exitCode: 0 })
      expect(await running(), what).toBe('0.9.1')
    }
  })
})
