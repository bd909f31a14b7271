import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { FleetClient } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aptRootProblem } from '../apt-root/create-apt-root.ts'
import { readOutput } from '../fleet/event-stream.ts'
import { bootProblem } from '../systemd-host/boot-root.ts'
import type { Machine } from './machine.ts'
import { networkProblem } from './network.ts'
import { installServer, type SmallFleet, startSmallFleet } from './small-fleet.ts'

const problem = aptRootProblem() ?? bootProblem() ?? networkProblem()
if (problem !== undefined) console.warn(`Skipped: a server that is destroyed and restored. ${problem}`)

const backup = '/var/backups/fleet.tar.gz'
const masterKey = '/etc/orchestrator-server/master.key'

describe.skipIf(problem !== undefined)('a server that is lost with its data', () => {
  let fleet: SmallFleet
  let server: Machine
  let vm: Machine
  let client: FleetClient
  let before = ''
  let queued = ''

  const must = (machine: Machine, line: string, env?: Record<string, string>): string => {
    const done = machine.paste(line, env)
    expect(`${done.exitCode}: ${done.stderr}`, line).toBe('0: ')
    return done.stdout
  }
  /** Each package says on the machine itself that it was set up. */
  const offer = (version: string): Promise<void> =>
    vm.root.offer('fleet-demo', version, { scripts: { postinst: `echo ${version} >> /srv/set-up` } })
  const setUp = (): string => readFileSync(join(vm.root.directory, 'srv/set-up'), 'utf8')
  const knowsAll = async (): Promise<void> => {
    client = await fleet.logIn()
    await client.until('the agent', async () => (await client.agent('vm-01'))?.status === 'online')
    expect(await client.command(before)).toMatchObject({
      state: 'succeeded',
      result: { packages: [expect.objectContaining({ name: 'fleet-demo', to: '2.0' })] },
    })
    const { text } = await readOutput(`${fleet.url}/api/commands/${before}/stream`, client)
    expect(text).toContain('Setting up fleet-demo (2.0)')
    // For the backup it was never begun; the machine says what became of it.
    expect(await client.finished(queued)).toMatchObject({
      state: 'succeeded',
      result: { packages: [expect.objectContaining({ name: 'fleet-demo', to: '3.0' })] },
    })
  }

  beforeAll(async () => {
    fleet = await startSmallFleet()
    ;({ server, vm, client } = fleet)
    expect(vm.paste(await fleet.invitation('vm-01'))).toMatchObject({ exitCode: 0 })
    await vm.root.installPackage('fleet-demo', '1.0')
  })

  afterAll(() => fleet?.remove())

  test('is backed up while it runs, also what waits for a machine that is away', async () => {
    await offer('2.0')
    before = (await client.submit('vm-01', 'apt-upgrade.run', { mode: 'all' })).id
    expect(await client.finished(before)).toMatchObject({ state: 'succeeded' })
    must(vm, 'systemctl stop orchestrator-agent')
    await offer('3.0')
    queued = (await client.submit('vm-01', 'apt-upgrade.run', { mode: 'all' })).id
    expect(must(server, `fleetupdate backup ${backup}`)).toMatch(
      /^Written and verified: .*master key is not/s,
    )
    must(vm, 'systemctl start orchestrator-agent')
    expect(await client.finished(queued)).toMatchObject({ state: 'succeeded' })
    expect(setUp()).toBe('2.0\n3.0\n')
  })

  test('comes back on the same machine from the backup, and its agents by themselves', async () => {
    must(server, 'systemctl kill --signal=KILL orchestrator-server; systemctl stop orchestrator-server')
    must(server, 'rm -rf /var/lib/orchestrator-server')
    expect(must(server, `fleetupdate restore ${backup}`)).toMatch(
      /^Restored into \/var\/lib\/orchestrator-server/,
    )
    must(server, 'systemctl start orchestrator-server')
    await knowsAll()
    expect(setUp()).toBe('2.0\n3.0\n')
  })

  test('comes back on a new machine from the backup, its settings and its master key', async () => {
    const kept = [backup, masterKey, '/opt/orchestrator/.env'].map((path) => ({
      path,
      content: readFileSync(join(server.root.directory, path)),
    }))
    server = await fleet.replaceServer()
    for (const { path, content } of kept) server.write(join('/root/kept', basename(path)), content)
    must(server, `install -D -m 600 /root/kept/master.key ${masterKey}`)
    must(server, 'install -D -m 600 /root/kept/.env /opt/orchestrator/.env')
    installServer(server, fleet.releases)
    must(server, 'systemctl stop orchestrator-server')
    expect(must(server, `fleetupdate restore /root/kept/fleet.tar.gz --force`)).toContain(
      'What was there is kept in',
    )
    must(server, 'systemctl start orchestrator-server')
    await knowsAll()
    await offer('4.0')
    const next = await client.submit('vm-01', 'apt-upgrade.run', { mode: 'all' })
    expect(await client.finished(next.id)).toMatchObject({ state: 'succeeded' })
    expect(setUp()).toBe('2.0\n3.0\n4.0\n')
  })
})
