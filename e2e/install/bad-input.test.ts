import { logIn } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aptRootProblem } from '../apt-root/create-apt-root.ts'
import { bootProblem } from '../systemd-host/boot-root.ts'
import { type Machine, startMachine, traces } from './machine.ts'
import { createNetwork, type Network, networkProblem } from './network.ts'
import { createReleases, type Releases } from './releases.ts'

const problem = aptRootProblem() ?? bootProblem() ?? networkProblem()
if (problem !== undefined) console.warn(`Skipped: installing under bad conditions. ${problem}`)

describe.skipIf(problem !== undefined)('an installation that cannot succeed', () => {
  let releases: Releases
  let network: Network
  let server: Machine
  let vm: Machine
  let url = ''
  const unpack = 'mkdir -p /root/un && tar -xzf /root/server.tar.gz -C /root/un --strip-components=1'
  const installServer = (before = ''): string => {
    const done = server.paste(`${before} sh /root/un/install.sh`, {
      NO_PROMPT: '1',
      UI_PASSWORD: 'correct horse',
    })
    return `${done.exitCode}: ${done.stdout}${done.stderr}`
  }
  /** The served installer, from a file. */
  const installAgent = (line: string, env: Record<string, string> = {}): string => {
    const settings = { NO_PROMPT: '1', AGENT_ID: 'vm-01', AGENT_PSK: 'a-secret-for-tests-0123456789', ...env }
    const done = vm.paste(line, settings)
    return `${done.exitCode}: ${done.stdout}${done.stderr}`
  }
  const nothingOn = (machine: Machine): void => {
    expect(machine.run(['sh', '-c', traces]).stdout).toBe('')
    expect(machine.run(['id', 'orchestrator']).exitCode).toBe(1)
    expect(machine.run(['systemctl', 'cat', 'orchestrator-agent', 'orchestrator-server']).exitCode).toBe(1)
  }

  beforeAll(async () => {
    releases = createReleases()
    network = createNetwork()
    server = await startMachine(network, { suite: 'bookworm', flavour: 'machine' })
    vm = await startMachine(network, { suite: 'trixie', flavour: 'machine-node' })
    url = `http://${server.address}:8000`
    server.give(releases.build('0.9.1', 1), 'server.tar.gz')
    expect(server.paste(unpack).exitCode).toBe(0)
  })

  afterAll(async () => {
    await vm?.remove()
    await server?.remove()
    network?.remove()
    releases?.remove()
  })

  test('on a port that is taken says by whom to ask, and leaves nothing', () => {
    server.paste(
      'systemd-run -q --unit=other-service sh -c "gzip -dc /root/un/agent-release/node-*.gz > /run/node && chmod +x /run/node && exec /run/node -e \\"require(\'net\').createServer().listen(8000)\\""',
    )
    server.paste('until (exec 3<>/dev/tcp/127.0.0.1/8000) 2>/dev/null; do sleep 0.2; done')
    expect(installServer()).toMatch(/^1: .*Port 8000 is taken by another program/s)
    nothingOn(server)
    server.paste('systemctl stop other-service')
  })

  test('on a full disk says how much is needed, and leaves nothing', () => {
    server.paste('mount -t tmpfs -o size=30m tmpfs /opt')
    expect(installServer()).toMatch(/^1: .*\/opt has \d+ MB free; 500 MB are needed/s)
    nothingOn(server)
    server.paste('umount /opt')
  })

  test('as somebody else than root, without systemd, or from a damaged archive says what to do', async () => {
    expect(server.paste('runuser -u nobody -- sh < /root/un/install.sh').stderr).toContain(
      'This must run as root',
    )
    const chroot = await server.root.run([
      'sh',
      '-c',
      'mv /run/systemd/system /run/x 2>/dev/null; sh /root/un/install.sh',
    ])
    expect(chroot.stderr).toContain('not booted with systemd')
    server.paste('mv /run/x /run/systemd/system')
    server.paste('head -c 1000000 /root/server.tar.gz > /root/cut.tar.gz')
    expect(server.paste('sh /root/un/install.sh --archive /root/cut.tar.gz').stderr).toContain('Is it whole')
    nothingOn(server)
  })

  test('with a setting that the server refuses names it, and leaves nothing', () => {
    expect(installServer('JWT_SECRET=short')).toMatch(/^1: .*JWT_SECRET must have 16 characters/s)
    expect(installServer('PUBLIC_URL=fleet.example.com')).toMatch(/^1: .*PUBLIC_URL: must be http/s)
    nothingOn(server)
  })

  test('with a wrong secret leaves nothing on the machine', async () => {
    expect(installServer('SERVER_PSK=a-secret-for-tests-0123456789')).toMatch(/^0: /)
    await logIn(url, 'admin', 'correct horse')
    vm.paste(`wget -qO /root/agent.sh ${url}/install/agent.sh`)
    const said = installAgent('sh /root/agent.sh', { AGENT_PSK: 'a-wrong-secret-0123456789' })
    expect(said).toMatch(/^1: .*(secret is not right|does not know the enrolment secret).*did not enrol/s)
    nothingOn(vm)
  })

  test('with a server that does not answer says so before it changes anything', () => {
    const said = installAgent('sh /root/agent.sh', { SERVER_URL: `http://${network.here}:9` })
    expect(said).toMatch(/^1: .*cannot be reached.*Check the address/s)
    nothingOn(vm)
  })

  test.each([
    ['/opt', 350],
    ['/var/tmp', 150],
  ])('with a full disk at %s says how much is needed', (folder, megabytes) => {
    vm.paste(`mount -t tmpfs -o size=30m tmpfs ${folder}`)
    expect(installAgent('sh /root/agent.sh')).toMatch(
      new RegExp(`^1: .*${folder} has \\d+ MB free; ${megabytes} MB are needed. Free some space`, 's'),
    )
    vm.paste(`umount ${folder}`)
    nothingOn(vm)
  })

  test('with a name that does not fit says how it must look', () => {
    expect(installAgent('sh /root/agent.sh', { AGENT_ID: 'a b; reboot' })).toMatch(
      /^1: .*does not fit: use 1 to 64/s,
    )
    nothingOn(vm)
  })

  test('on a distribution that is not known names what is missing', () => {
    const hide =
      'for p in wget apt-get; do mv /usr/bin/$p /usr/bin/$p.hidden; done; sed -i "s/^PRETTY_NAME=.*/PRETTY_NAME=\\"Foo Linux 1\\"/" /usr/lib/os-release'
    const show = 'for p in wget apt-get; do mv /usr/bin/$p.hidden /usr/bin/$p; done'
    const said = installAgent(`${hide}; sh /root/agent.sh; code=$?; ${show}; exit $code`)
    expect(said).toMatch(
      /^1: .*Foo Linux 1 is not known to this installer. Install by hand what provides: curl/s,
    )
    nothingOn(vm)
  })

  test('from a release with something changed on the way runs nothing of it', () => {
    const tampered = `sed "s/^BAKED_RELEASE_KEY='M/BAKED_RELEASE_KEY='N/" /root/agent.sh > /root/t.sh; sh /root/t.sh`
    expect(installAgent(tampered)).toMatch(/^1: /)
    const other = `sed -E "s/^(BAKED_RELEASE_SHA256=')./\\1x/" /root/agent.sh > /root/t.sh; sh /root/t.sh`
    expect(installAgent(other)).toMatch(/^1: .*is not the one that was invited/s)
    nothingOn(vm)
  })

  test('once the cause is gone, the same succeeds, also without sudo on the machine', async () => {
    vm.paste('mv /usr/bin/sudo /usr/bin/sudo.hidden')
    expect(installAgent('sh /root/agent.sh')).toMatch(/^0: .*runs as "vm-01"/s)
    const client = await logIn(url, 'admin', 'correct horse')
    await client.until(
      'all privileges',
      async () => (await client.agent('vm-01'))?.facets['sudo-check.ok'] === true,
    )
  })
})
