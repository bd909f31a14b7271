import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AptRoot, aptRootProblem, createAptRoot } from '../apt-root/create-apt-root.ts'
import { readStream } from '../fleet/event-stream.ts'
import { type BootedHost, bootProblem, bootRoot } from './boot-root.ts'
import { installAsUser } from './install-as-user.ts'

const problem = aptRootProblem() ?? bootProblem()
if (problem !== undefined) console.warn(`Skipped: the agent without root. ${problem}`)

const sudoersLine = 'orchestrator ALL=(root) NOPASSWD: /opt/orchestrator/agent/current/root-helper ""'

interface Privilege {
  readonly plugin: string
  readonly ok: boolean
  readonly missing?: string
}

describe.skipIf(problem !== undefined)('an agent that runs as "orchestrator", without capabilities', () => {
  let root: AptRoot
  let host: BootedHost
  let fleet: TestFleet

  beforeAll(async () => {
    root = await createAptRoot({ flavour: 'systemd' })
    await root.installPackage('fleet-demo', '1.0')
    await root.offer('fleet-demo', '2.0', { slowSeconds: 2 })
    fleet = await startTestFleet({ agents: [] })
    await install()
    host = await bootRoot(root)
    host.run(['systemctl', 'start', 'orchestrator-agent'])
    await fleet.client.until(
      'the agent',
      async () => (await fleet.client.agent('plain'))?.status === 'online',
    )
  })

  afterAll(async () => {
    await host?.powerOff()
    await fleet?.stop()
    await root?.dispose()
  })

  /** sudo is how root is reached where the socket does not exist; it does not work under NoNewPrivileges. */
  const install = async (): Promise<void> => {
    await installAsUser(root, { id: 'plain', url: fleet.url })
    const units = join(root.directory, 'etc/systemd/system')
    rmSync(join(units, 'orchestrator-helper.socket'))
    const unit = readFileSync(join(units, 'orchestrator-agent.service'), 'utf8')
    writeFileSync(join(units, 'orchestrator-agent.service'), withSudo(unit))
  }
  /** What a sandbox of systemd forbids sudo, all of it: an operator without the socket does without the sandbox. */
  const withSudo = (unit: string): string => {
    const [before = '', after = ''] = unit.split('# Root is behind orchestrator-helper.socket')
    return `${before}\n${after.slice(after.indexOf('[Install]'))}`
  }

  const privileges = async (): Promise<readonly Privilege[]> =>
    ((await fleet.client.agent('plain'))?.facts['sudo-check']?.privileges ?? []) as readonly Privilege[]

  test('says exactly which line is missing', async () => {
    const { client } = fleet
    const found = await client.until('the privileges', async () => {
      const all = await privileges()
      return all.length > 0 && all
    })
    expect(found.every(({ ok }) => !ok)).toBe(true)
    expect(found[0]?.missing).toContain(sudoersLine)
    expect((await client.agent('plain'))?.facets['sudo-check.ok']).toBe(false)
    const refused = await client.finished(
      (await client.submit('plain', 'apt-upgrade.run', { mode: 'all' })).id,
    )
    expect(refused.state).toBe('failed')
    expect(refused.reason).toContain(sudoersLine)
  })

  test('upgrades with that one line, in a unit of its own, run as "orchestrator"', async () => {
    const { client } = fleet
    const file = join(root.directory, 'etc/sudoers.d/orchestrator-agent')
    writeFileSync(file, `${sudoersLine}\n`)
    chmodSync(file, 0o440)
    expect(host.run(['visudo', '--check', '--strict']).exitCode).toBe(0)

    await client.finished((await client.submit('plain', 'sudo-check.check')).id)
    await client.until(
      'all privileges',
      async () => (await client.agent('plain'))?.facets['sudo-check.ok'] === true,
    )
    expect((await privileges()).every(({ ok }) => ok)).toBe(true)

    const command = await client.submit('plain', 'apt-upgrade.run', { mode: 'all' })
    let owner = ''
    for await (const { event, data } of readStream(`${fleet.url}/api/commands/${command.id}/stream`, client))
      if (event === 'output' && data.includes('Unpacking'))
        owner = host.run(['systemctl', 'show', '--property=User', `fleetupdate-${command.id}-1`]).stdout
    expect(owner).toContain('User=orchestrator')
    expect(await client.finished(command.id)).toMatchObject({
      state: 'succeeded',
      result: { packages: [expect.objectContaining({ name: 'fleet-demo', to: '2.0' })] },
    })
  })
})
