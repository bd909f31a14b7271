import { type FleetClient, logIn, type TestFleet } from '@fleetupdate/sdk/testing'
import { type Attempt, type Outcome, type WireHost, wireHost } from './wire-hosts.ts'

/** `<id> <release> <pending>/<of these security> <cpu %> <flags>`: r reboot, f failed unit, s no sudo, o offline, u index never fetched. */
const machines = `
  api-01 bookworm 0/0 31
  api-02 bookworm 0/0 28
  api-03 bookworm 14/3 35
  backup-01 bookworm 0/0 6
  build-01 trixie 41/5 88 r
  build-02 trixie 0/0 72
  cache-01 bookworm 3/0 12
  cache-02 bookworm 0/0 11
  db-01 bookworm 7/2 46 r
  db-02 bookworm 7/2 39
  db-replica-01 bookworm 0/0 22
  dns-01 bullseye 26/6 3
  dns-02 bullseye 0/0 2 o
  edge-par-01 noble 9/1 17
  edge-par-02 noble 0/0 19
  gitlab bookworm 18/4 54 r
  grafana bookworm 0/0 14
  kafka-01 jammy 0/0 33
  kafka-02 jammy 0/0 36
  kafka-03 jammy 5/0 34 f
  ldap-01 bookworm 0/0 4
  legacy-erp bullseye 63/17 9 s
  lb-01 trixie 0/0 8
  lb-02 trixie 0/0 8
  mail-01 bookworm 2/1 11
  monitoring bookworm 0/0 26
  nfs-01 jammy 0/0 7 u
  proxy-01 noble 0/0 15
  redis-01 bookworm 0/0 21
  staging-01 trixie 33/2 5 r
  vpn-01 bookworm 1/1 3
  web-01 bookworm 12/2 41
  web-02 bookworm 12/2 44
  web-03 bookworm 0/0 40
`
const releases: Readonly<Record<string, { os: string; kernel: string; security: string; main: string }>> = {
  bullseye: debian('11 (bullseye)', '5.10.0-33-amd64'),
  bookworm: debian('12 (bookworm)', '6.1.0-28-amd64'),
  trixie: debian('13 (trixie)', '6.12.6-amd64'),
  jammy: ubuntu('22.04.5 LTS', '5.15.0-127-generic'),
  noble: ubuntu('24.04.1 LTS', '6.8.0-51-generic'),
}
const packages = [
  ['openssl', '3.0.15-1~deb12u1', '3.0.17-1~deb12u2'],
  ['libssl3', '3.0.15-1~deb12u1', '3.0.17-1~deb12u2'],
  ['curl', '7.88.1-10+deb12u8', '7.88.1-10+deb12u12'],
  ['nginx', '1.22.1-9', '1.22.1-9+deb12u1'],
  ['sudo', '1.9.13p3-1+deb12u1', '1.9.13p3-1+deb12u2'],
  ['libc6', '2.36-9+deb12u9', '2.36-9+deb12u10'],
  ['systemd', '252.31-1~deb12u1', '252.33-1~deb12u1'],
  ['linux-image-amd64', '6.1.119-1', '6.1.124-1'],
  ['git', '1:2.39.5-0+deb12u1', '1:2.39.5-0+deb12u2'],
  ['vim', '2:9.0.1378-2', '2:9.0.1378-2+deb12u2'],
  ['rsync', '3.2.7-1', '3.2.7-1+deb12u2'],
  ['python3.11', '3.11.2-6+deb12u4', '3.11.2-6+deb12u5'],
  ['tzdata', '2024b-0+deb12u1', '2025a-0+deb12u1'],
] as const
const minutes = 60
const gibibyte = 2 ** 30

/** A fleet as one sees it at work: thirty-odd machines, most of them well, some not. For the pictures of the docs. */
export async function startShowcase(
  fleet: TestFleet,
  run: (id: string, attempt: Attempt) => Promise<Outcome> = async () => ({ state: 'succeeded' }),
): Promise<ReadonlyMap<string, WireHost>> {
  const hosts = new Map<string, WireHost>()
  const lines = machines.trim().split('\n')
  for (const [index, line] of lines.entries()) {
    const [id = '', release = '', pending = '', cpu = '', flags = ''] = line.trim().split(' ')
    const host = await wireHost(fleet, id, (attempt) => run(id, attempt))
    hosts.set(id, host)
    const [count = 0, security = 0] = pending.split('/').map(Number)
    describeHost(host, { id, release, count, security, flags, index })
    for (let ago = minutes; ago >= 0; ago--)
      host.tell('metrics', { sample: sampleOf(Number(cpu), index, ago) }, atMinutesAgo(ago))
    await host.agent.settle()
    if (flags.includes('o')) host.agent.terminate()
  }
  await fleet.client.until('the facts of all machines', async () => {
    const { body } = await fleet.client.request<{ counts: Record<string, number> }>(
      'GET',
      '/api/agents?count=metrics.cpu%3Dnull',
    )
    return (
      body.counts.all === lines.length && body.counts['metrics.cpu=null'] === 0 && body.counts.offline === 1
    )
  })
  return hosts
}

/** What a few people did with it: colleagues, invitations, commands, and an attempt that was refused. */
export async function startHistory(client: FleetClient): Promise<void> {
  const password = 'a password for tests'
  const people = { grace: 'admin', linus: 'operator', margaret: 'operator', 'on-call': 'viewer' }
  for (const [name, role] of Object.entries(people))
    await client.request('POST', '/api/users', { name, role, password })
  const grace = await logIn(client.url, 'grace', password)
  const linus = await logIn(client.url, 'linus', password)
  for (const body of [
    { uses: 12, group: 'web-*', note: 'Autumn web servers', ttlSeconds: 604_800 },
    { agentId: 'db-03', note: 'New database' },
    { uses: 3, approval: true, note: 'Branch offices', ttlSeconds: 86_400 },
  ])
    await grace.request('POST', '/api/enrolment/tokens', body)
  await linus.request('GET', '/api/audit')
  await linus.submit('web-01', 'os-updates.refresh')
  await linus.request('POST', '/api/commands', {
    command: 'os-updates.refresh',
    input: {},
    targets: { agents: ['web-01', 'web-02', 'web-03'] },
  })
  await grace.submit('db-01', 'reboot.schedule', { minutes: 30 })
  await grace.request('POST', '/api/tokens', { name: 'nightly report', role: 'viewer', days: 90 })
}

interface Machine {
  readonly id: string
  readonly release: string
  readonly count: number
  readonly security: number
  readonly flags: string
  readonly index: number
}

function describeHost(host: WireHost, { id, release, count, security, flags, index }: Machine): void {
  const { os, kernel, security: safe, main } = releases[release] ?? debian(release, '6.1.0')
  const bootedAt = atMinutesAgo(60 * 24 * (3 + ((index * 7) % 60)))
  const reboot = flags.includes('r')
  host.tell('os-updates', {
    updates: {
      manager: 'apt',
      refreshedAt: flags.includes('u') ? null : atMinutesAgo(10 + ((index * 13) % 200)),
      pending: Array.from({ length: count }, (_, i) => packageOf(i, i < security ? safe : main)),
    },
    system: { os, kernel, arch: 'x86_64', hostname: id, bootedAt, rebootRequired: reboot },
  })
  host.tell('reboot', {
    state: {
      required: reboot,
      reasons: reboot ? ['linux-image-amd64', 'libc6'] : [],
      runningKernel: kernel,
      installedKernel: kernel,
      bootId: `boot-${index}`,
      bootedAt,
      scheduledAt: null,
    },
  })
  host.tell('services', {
    failed: flags.includes('f') ? [{ unit: 'kafka-mirror.service', description: 'Kafka MirrorMaker' }] : [],
  })
  const missing = 'orchestrator ALL=(root) NOPASSWD: /opt/orchestrator/agent/current/root-helper ""'
  host.tell('sudo-check', {
    privileges: ['apt-upgrade', 'os-updates', 'reboot'].map((plugin) => ({
      id: 'helper',
      plugin,
      ok: !flags.includes('s'),
      ...(flags.includes('s') ? { missing } : {}),
    })),
  })
}

function packageOf(i: number, origin: string) {
  const [name, current, candidate] = packages[i % packages.length] ?? packages[0]
  const again = Math.floor(i / packages.length)
  return {
    name: again === 0 ? name : `lib${name.replace(/^lib/, '')}-extra${again}`,
    ...{ current, candidate, origin, security: /security/i.test(origin), held: false, phased: false },
  }
}

function sampleOf(level: number, index: number, ago: number) {
  const wave = Math.sin(ago / (5 + (index % 9)) + index) * level * 0.3
  const grain = (((ago * 7919 + index * 104_729) % 97) / 97 - 0.5) * level * 0.35
  const share = Math.min(0.92, 0.3 + ((index * 37) % 55) / 100)
  const total = (4 + (index % 4) * 4) * gibibyte
  const disk = (40 + (index % 5) * 60) * gibibyte
  return {
    cpu: Math.round(Math.min(100, Math.max(0.4, level + wave + grain)) * 10) / 10,
    cores: 2 + (index % 4) * 2,
    load: [level / 40, level / 45, level / 50],
    memory: { total, used: Math.round(total * share), available: Math.round(total * (1 - share)) },
    swap: { total: gibibyte, used: 0 },
    disks: [{ mount: '/', used: Math.round((disk * (25 + ((index * 29) % 65))) / 100), total: disk }],
    network: { rx: 20_000 + level * 4000, tx: 10_000 + level * 2500 },
    uptime: 86_400 * (3 + ((index * 7) % 60)),
  }
}

function debian(release: string, kernel: string) {
  return { os: `Debian GNU/Linux ${release}`, kernel, security: 'Debian-Security', main: 'Debian' }
}

function ubuntu(release: string, kernel: string) {
  return { os: `Ubuntu ${release}`, kernel, security: 'Ubuntu-security', main: 'Ubuntu' }
}

function atMinutesAgo(ago: number): string {
  return new Date(Date.now() - ago * 60_000).toISOString()
}
