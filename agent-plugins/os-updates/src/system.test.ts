import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { newerKernelInstalled } from './kernel.ts'
import { collectSystem, osName } from './system.ts'

describe('the system', () => {
  let root: string
  const silent = (): void => undefined
  const context = () => ({
    root,
    signal: new AbortController().signal,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    exists: (path: string) =>
      access(join(root, path)).then(
        () => true,
        () => false,
      ),
    readFile: (path: string) => readFile(join(root, path), 'utf8').catch(() => undefined),
    privileges: async () => [],
    excludes: async () => false,
    run: () => Promise.reject(new Error('no program is needed')),
  })
  const put = async (path: string, text: string) => {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'fleet-system-'))
    await put('/etc/os-release', 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n')
    await put('/proc/sys/kernel/osrelease', '6.1.0-35-amd64\n')
    await put('/proc/sys/kernel/hostname', 'web-1\n')
    await put('/proc/stat', 'cpu  1 2 3\nbtime 1767225600\nprocesses 1\n')
  })
  afterEach(() => rm(root, { recursive: true, force: true }))

  it('is told from files alone', async () => {
    expect(await collectSystem(context())).toEqual({
      os: 'Debian GNU/Linux 12 (bookworm)',
      kernel: '6.1.0-35-amd64',
      arch: expect.stringMatching(/\w+/),
      hostname: 'web-1',
      bootedAt: '2026-01-01T00:00:00.000Z',
      rebootRequired: false,
    })
  })

  it.each(['/run/reboot-required', '/var/run/reboot-required'])(
    'must be rebooted where %s stands',
    async (path) => {
      await put(path, '')
      expect((await collectSystem(context())).rebootRequired).toBe(true)
    },
  )

  it('must be rebooted where a newer kernel is installed than runs', async () => {
    await put('/boot/vmlinuz-6.1.0-35-amd64', '')
    expect((await collectSystem(context())).rebootRequired).toBe(false)
    await put('/boot/vmlinuz-6.1.0-37-amd64', '')
    expect((await collectSystem(context())).rebootRequired).toBe(true)
  })
})

describe('a newer kernel', () => {
  it.each([
    ['6.1.0-9-amd64', ['6.1.0-9-amd64', '6.1.0-10-amd64'], true],
    ['6.1.0-10-amd64', ['6.1.0-9-amd64', '6.1.0-10-amd64'], false],
    ['5.15.0-91-generic', ['5.15.0-91-generic', '6.5.0-14-generic'], true],
    ['6.1.0-10-amd64', ['6.1.0-10-amd64', '6.1.0-12-cloud-amd64'], false],
    ['6.1.0-10-cloud-amd64', ['6.1.0-10-cloud-amd64', '6.1.0-12-cloud-amd64'], true],
    ['6.12.9-custom', ['6.1.0-10-amd64'], false],
    ['6.1.0-10-amd64', [], false],
  ])('than %s among %j: %s', (running, installed, newer) => {
    expect(newerKernelInstalled(running, installed)).toBe(newer)
  })
})

describe('the name of an operating system', () => {
  it.each([
    ['PRETTY_NAME="Ubuntu 24.04 LTS"\n', 'Ubuntu 24.04 LTS'],
    ["NAME='Kali'\n", 'Kali'],
    ['PRETTY_NAME="A \\"quoted\\" name"\n', 'A "quoted" name'],
    ['', 'Linux'],
  ])('of %j is %s', (text, name) => {
    expect(osName(text)).toBe(name)
  })
})
