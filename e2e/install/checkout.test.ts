import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { type FleetClient, logIn } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aptRootProblem } from '../apt-root/create-apt-root.ts'
import { repository } from '../repository.ts'
import { bootProblem } from '../systemd-host/boot-root.ts'
import { type Machine, startMachine, traces } from './machine.ts'
import { createNetwork, type Network, networkProblem } from './network.ts'

const prefix = dirname(dirname(process.execPath))
const packages = join(homedir(), '.npm/_cacache')
const node = {
  'usr/bin/node': process.execPath,
  'usr/include/node': join(prefix, 'include/node'),
  'usr/lib/node_modules/npm': join(prefix, 'lib/node_modules/npm'),
  'root/.npm/_cacache': packages,
}
/** A booted machine has no way out of this one: what npm fetches must have been fetched here, and what compiles needs this Node's headers. */
const missing = Object.values(node).find((path) => !existsSync(path))
const problem =
  aptRootProblem() ??
  bootProblem() ??
  networkProblem() ??
  (missing === undefined ? undefined : `building inside a machine needs ${missing}`)
if (problem !== undefined) console.warn(`Skipped: installing from sources. ${problem}`)

const psk = 'a-secret-for-tests-0123456789'
const git = 'git -c user.name=tess -c user.email=tess@localhost -C /srv/checkout'

describe.skipIf(problem !== undefined)('from sources', { timeout: 900_000 }, () => {
  let network: Network
  let machine: Machine
  let client: FleetClient
  let url = ''

  const settings = { NO_PROMPT: '1', UI_PASSWORD: 'correct horse', SERVER_PSK: psk }
  const fromRepository = { ...settings, REPO_URL_OVERRIDE: 'file:///srv/fleetupdate.git', REPO_REF: 'main' }
  const revision = (): string => machine.paste(`${git} rev-parse --short=12 HEAD`).stdout.trim()
  const version = async () => (await client.request<{ version: string }>('GET', '/api/health')).body.version
  /** The installer alone, as a person has it who fetched only that file. */
  const installer =
    'cp /srv/checkout/deploy/install-server.sh /root/ && cd /root && sudo --preserve-env=REPO_URL_OVERRIDE,REPO_REF,NO_PROMPT,UI_PASSWORD,SERVER_PSK sh install-server.sh'

  beforeAll(async () => {
    network = createNetwork()
    machine = await startMachine(network, { suite: 'bookworm', flavour: 'machine-builder' })
    url = `http://${machine.address}:8000`
    const inside = (path: string): string => join(machine.root.directory, path)
    const files = execFileSync('git', ['ls-files', '-z', '--cached'], { cwd: repository, encoding: 'utf8' })
    for (const file of files.split('\0').filter((name) => name !== '' && existsSync(join(repository, name))))
      cpSync(join(repository, file), inside(join('srv/checkout', file)))
    const made = machine.paste(
      `git init -q -b main /srv/checkout && ${git} add -A && ${git} commit -qm one && git clone -q --bare /srv/checkout /srv/fleetupdate.git`,
    )
    expect(made).toMatchObject({ exitCode: 0, stderr: '' })
  })

  afterAll(async () => {
    await machine?.remove()
    network?.remove()
  })

  test('without Node on the machine it says what to use, and leaves nothing', () => {
    const done = machine.paste(installer, fromRepository)
    expect(done.exitCode).toBe(1)
    expect(done.stderr).toMatch(/needs Node 20\.19 or newer.*Use a release archive, which brings its own/)
    expect(machine.run(['sh', '-c', traces]).stdout).toBe('')
  })

  test('a repository or a revision that is not there is named, and nothing is left', () => {
    const nowhere = machine.paste(installer, {
      ...fromRepository,
      REPO_URL_OVERRIDE: 'file:///srv/nothing.git',
    })
    expect(nowhere.stderr).toContain(
      '✗ file:///srv/nothing.git could not be fetched. Check REPO_URL_OVERRIDE.',
    )
    const nothing = machine.paste(installer, { ...fromRepository, REPO_REF: 'v0.0.0' })
    expect(nothing.stderr).toContain('✗ There is no "v0.0.0" in file:///srv/fleetupdate.git.')
    expect([nowhere.exitCode, nothing.exitCode]).toEqual([1, 1])
    expect(machine.run(['sh', '-c', traces]).stdout).toBe('')
  })

  test('a git repository is built and installed', async () => {
    for (const [path, from] of Object.entries(node)) {
      const to = join(machine.root.directory, path)
      mkdirSync(dirname(to), { recursive: true })
      cpSync(from, to, { recursive: true })
    }
    symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(machine.root.directory, 'usr/bin/npm'))
    machine.write('/root/.npmrc', 'offline=true\nnodedir=/usr\nupdate-notifier=false\n')
    const done = await machine.pasteLong(installer, fromRepository)
    expect(`${done.stdout}${done.stderr}`).toMatch(/FleetUpdate \S+ runs: /)
    expect(done.exitCode).toBe(0)
    client = await logIn(url, 'admin', 'correct horse')
    expect(await version()).toMatch(new RegExp(`\\+${revision()}$`))
    // Nothing of the build stays but the server.
    expect(machine.paste('ls /var/tmp').stdout).not.toContain('fleetupdate')
  })

  test('the checkout it lies in, at the same revision, changes nothing', () => {
    const pid = machine.run(['systemctl', 'show', '-P', 'MainPID', 'orchestrator-server']).stdout
    const done = machine.paste('sh /srv/checkout/deploy/install-server.sh', settings)
    expect(done).toMatchObject({ exitCode: 0, stderr: '' })
    expect(done.stdout).not.toContain('Building')
    expect(machine.run(['systemctl', 'show', '-P', 'MainPID', 'orchestrator-server']).stdout).toBe(pid)
  })

  test('its agent comes from the same checkout', async () => {
    const env = { NO_PROMPT: '1', AGENT_ID: 'vm-01', SERVER_URL: url, AGENT_PSK: psk }
    const done = machine.paste('sh /srv/checkout/deploy/install-agent.sh', env)
    expect(`${done.stdout}${done.stderr}`).toContain('runs as "vm-01" and is connected')
    expect(machine.paste('sh /srv/checkout/deploy/install-agent.sh', env)).toMatchObject({ exitCode: 0 })
    const agent = await client.until('the agent', async () => {
      const found = await client.agent('vm-01')
      return found?.status === 'online' && found
    })
    expect(agent.agentVersion).toBe(await version())
  })

  test('a revision that cannot be built is not installed, and the old one goes on', async () => {
    const before = await version()
    const broken = `echo '{' > /srv/checkout/core/package.json && ${git} commit -qam broken && ${git} push -q /srv/fleetupdate.git main`
    expect(machine.paste(broken)).toMatchObject({ exitCode: 0 })
    const done = await machine.pasteLong(installer, fromRepository)
    expect(done.stderr).toContain('✗ Building failed; see above. Nothing was changed.')
    expect(done.exitCode).toBe(1)
    expect(await version()).toBe(before)
  })
})
