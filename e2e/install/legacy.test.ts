import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FleetClient, logIn } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aptRootProblem } from '../apt-root/create-apt-root.ts'
import { bootProblem } from '../systemd-host/boot-root.ts'
import { type Machine, startMachine } from './machine.ts'
import { createNetwork, type Network, networkProblem } from './network.ts'
import { createReleases, type Releases } from './releases.ts'

const problem = aptRootProblem() ?? bootProblem() ?? networkProblem()
if (problem !== undefined) console.warn(`Skipped: installing over the first FleetUpdate. ${problem}`)

// "correct horse", as passlib of the first FleetUpdate wrote it.
const hash = 'bcrypt:$2b$04$8jluQ2k7luUVciVSqx1A4OXgV7U0J8t5XDcEI8NsXmQFp9hPvWQT6'
const psk = 'the-psk-of-all-the-old-agents'
const settings = [
  '# made by the first FleetUpdate',
  `SERVER_PSK=${psk}`,
  'UI_USER=olga',
  `UI_PASSWORD_HASH='${hash}'`,
  'JWT_SECRET=0123456789abcdef0123456789abcdef',
  'HOST=0.0.0.0',
  'PORT=8000',
  'DATABASE_URL=sqlite+aiosqlite:////opt/orchestrator/orchestrator.db',
  '',
]
const unit = (program: string): string =>
  `[Unit]\nDescription=the first FleetUpdate\n[Service]\nUser=orchestrator\nEnvironmentFile=/opt/orchestrator/.env\nExecStart=/bin/sh /opt/orchestrator/${program}\nRestart=always\n[Install]\nWantedBy=multi-user.target\n`
const files: Readonly<Record<string, string>> = {
  'opt/orchestrator/.env': settings.join('\n'),
  'opt/orchestrator/orchestrator.db': 'SQLite format 3\0 what the first FleetUpdate knew',
  'opt/orchestrator/server/main.py': '# python',
  'opt/orchestrator/server/run.sh': 'exec sleep infinity\n',
  'opt/orchestrator/agent/agent.py': '# python',
  'opt/orchestrator/agent/run.sh': 'exec sleep infinity\n',
  'etc/systemd/system/orchestrator-server.service': unit('server/run.sh'),
  'etc/systemd/system/orchestrator-agent.service': unit('agent/run.sh'),
  'etc/orchestrator-agent/config.yaml': `agent:\n  id: old-vm\n  server_url: http://127.0.0.1:8000\n  psk: ${psk}\n  poll_interval: 15\napps:\n  - name: shop\n    version: "1.2"\n`,
  'etc/sudoers.d/orchestrator': 'orchestrator ALL=(ALL) NOPASSWD: /usr/bin/apt, /usr/bin/apt-get\n',
}

describe.skipIf(problem !== undefined)('over the first FleetUpdate', () => {
  let releases: Releases
  let network: Network
  let machine: Machine
  let client: FleetClient
  const database = (): string => machine.run(['sha256sum', '/opt/orchestrator/orchestrator.db']).stdout
  const read = (file: string): string => machine.run(['cat', file]).stdout
  const install = () => machine.paste('sh /root/un/install.sh', { NO_PROMPT: '1' })

  beforeAll(async () => {
    releases = createReleases()
    network = createNetwork()
    machine = await startMachine(network, { suite: 'bookworm', flavour: 'machine' })
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(machine.root.directory, path, '..'), { recursive: true })
      writeFileSync(join(machine.root.directory, path), text)
    }
    machine.give(releases.build('0.9.1', 1), 'server.tar.gz')
    const prepare = [
      'useradd --system --home-dir /opt/orchestrator --shell /usr/sbin/nologin orchestrator',
      'chown -R orchestrator:orchestrator /opt/orchestrator',
      'chmod 600 /opt/orchestrator/.env',
      // Left behind by a run as root.
      'mkdir -p /var/lib/orchestrator-agent && touch /var/lib/orchestrator-agent/state.json',
      'chmod 440 /etc/sudoers.d/orchestrator',
      'systemctl daemon-reload && systemctl enable -q --now orchestrator-server orchestrator-agent',
      'mkdir /root/un && tar -xzf /root/server.tar.gz -C /root/un --strip-components=1',
    ]
    expect(machine.paste(prepare.join(' && '))).toMatchObject({ exitCode: 0 })
  })

  afterAll(async () => {
    await machine?.remove()
    network?.remove()
    releases?.remove()
  })

  test('a setting that the new server refuses is named, and the old one goes on', () => {
    machine.paste('echo "CORS_ORIGINS=*" >> /opt/orchestrator/.env')
    const done = install()
    expect(done.exitCode).toBe(1)
    expect(done.stderr).toMatch(
      /The settings in \/opt\/orchestrator\/.env are not right: .*CORS_ORIGINS: must be origins/,
    )
    expect(machine.run(['systemctl', 'is-active', 'orchestrator-server', 'orchestrator-agent']).stdout).toBe(
      'active\nactive\n',
    )
    expect(read('/etc/systemd/system/orchestrator-server.service')).toBe(unit('server/run.sh'))
    machine.paste('sed -i "/^CORS_ORIGINS/d" /opt/orchestrator/.env')
  })

  test('the server keeps the settings, leaves the old database alone and says so', async () => {
    const before = database()
    const done = install()
    expect(done.exitCode).toBe(0)
    expect(done.stderr).toContain('that database is left untouched')
    expect(read('/opt/orchestrator/.env')).toBe(settings.join('\n'))
    expect(database()).toBe(before)
    expect(
      machine.run([
        'stat',
        '-c',
        '%U',
        '/opt/orchestrator',
        '/opt/orchestrator/server',
        '/opt/orchestrator/.env',
      ]).stdout,
    ).toBe('root\nroot\nroot\n')
  })

  test('the old password still opens it', async () => {
    client = await logIn(`http://${machine.address}:8000`, 'olga', 'correct horse')
  })

  test('the agent keeps its id and the secret, and loses the right to become root at will', async () => {
    const line = 'curl -fsSL http://127.0.0.1:8000/install/agent.sh | sh'
    const done = machine.paste(line, { NO_PROMPT: '1' })
    expect(`${done.stdout}${done.stderr}`).toContain('runs as "old-vm"')
    expect(done.stderr).toContain('lets the user orchestrator become root at will')
    expect(machine.run(['ls', '/etc/sudoers.d']).stdout).not.toContain('orchestrator\n')
    expect(read('/etc/orchestrator-agent/config.yaml')).toBe(files['etc/orchestrator-agent/config.yaml'])
    expect(machine.run(['stat', '-c', '%U', '/var/lib/orchestrator-agent/state.json']).stdout).toBe(
      'orchestrator\n',
    )
    const agent = await client.until('the agent', async () => {
      const found = await client.agent('old-vm')
      return found?.status === 'online' && found
    })
    expect(agent).toMatchObject({ agentVersion: '0.9.1' })
  })

  test('running both again changes nothing', () => {
    const folders = [
      '/opt/orchestrator',
      '/etc/orchestrator-agent',
      '/etc/orchestrator-server',
      '/etc/systemd/system',
      '/etc/sudoers.d',
    ]
    const before = machine.fingerprint(...folders)
    expect(install().exitCode).toBe(0)
    expect(
      machine.paste('curl -fsSL http://127.0.0.1:8000/install/agent.sh | sh', { NO_PROMPT: '1' }).exitCode,
    ).toBe(0)
    expect(machine.fingerprint(...folders)).toBe(before)
  })
})
