import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Manifest } from '@fleetupdate/sdk'
import type { CommandContext, ExecutorContext } from '@fleetupdate/sdk/executor'
import { testExecutor } from '@fleetupdate/sdk/testing'
import { Compile } from 'typebox/compile'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }
import executor from './index.ts'
import { newestLike } from './kernel.ts'
import { collectState } from './state.ts'

const files = {
  '/proc/sys/kernel/osrelease': '6.1.0-35-amd64\n',
  '/proc/sys/kernel/random/boot_id': '1a2b\n',
  '/proc/stat': 'cpu  1 2 3\nbtime 1767225600\n',
}
// As systemd 252 writes it.
const scheduled = 'USEC=1767229200000000\nWARN_WALL=1\nMODE=reboot\nWALL_MESSAGE=x\n'
const at = '2026-01-01T01:00:00.000Z'
const { privileges = [] } = Compile(Manifest).Parse(packageJson.fleetupdate)

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'reboot-'))
  mkdirSync(join(root, 'boot'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** A host with these files, whose `shutdown` keeps its plan where systemd keeps it. */
function host(more: Record<string, string> = {}): { context: CommandContext; started: string[][] } {
  const here: Record<string, string> = { ...files, ...more }
  const started: string[][] = []
  const context = {
    root,
    exists: async (path: string) => path in here,
    readFile: async (path: string) => here[path],
    async run(program: string, args: readonly string[]) {
      started.push([program, ...args])
      if (args[0] === '-c') delete here['/run/systemd/shutdown/scheduled']
      else here['/run/systemd/shutdown/scheduled'] = scheduled
    },
    fail(reason: string) {
      throw new Error(reason)
    },
  }
  return { context: context as unknown as CommandContext, started }
}
const state = (more?: Record<string, string>) => collectState(host(more).context as ExecutorContext)

describe('the state of a host', () => {
  test('fits the contract, and needs no reboot where nothing asks for one', async () => {
    const { facts, problems } = await testExecutor(executor, { files })
    expect(problems).toEqual([])
    expect(facts.state).toMatchObject({
      bootId: '1a2b',
      bootedAt: '2026-01-01T00:00:00.000Z',
      scheduledAt: null,
    })
    expect(await state()).toMatchObject({ required: false, reasons: [], installedKernel: null })
  })

  test('names the packages that ask for a reboot', async () => {
    const asked = await state({
      '/run/reboot-required': '',
      '/run/reboot-required.pkgs': 'libc6\ndbus\nlibc6\n',
    })
    expect(asked).toMatchObject({ required: true, reasons: ['dbus', 'libc6'] })
    expect(await state({ '/run/reboot-required': '' })).toMatchObject({ required: true, reasons: [] })
  })

  test('names the kernel that waits', async () => {
    for (const kernel of ['6.1.0-35-amd64', '6.1.0-37-amd64'])
      writeFileSync(join(root, 'boot', `vmlinuz-${kernel}`), '')
    expect(await state()).toMatchObject({
      required: true,
      reasons: ['kernel 6.1.0-37-amd64 is installed'],
      installedKernel: '6.1.0-37-amd64',
    })
  })

  test('knows a scheduled reboot apart from a scheduled power-off', async () => {
    const path = '/run/systemd/shutdown/scheduled'
    expect((await state({ [path]: scheduled })).scheduledAt).toBe(at)
    expect((await state({ [path]: scheduled.replace('reboot', 'poweroff') })).scheduledAt).toBeNull()
  })
})

describe('the commands', () => {
  test('schedule a reboot, say when, and take it back', async () => {
    const { context, started } = host()
    expect(await executor.commands.schedule!({ minutes: 60 }, context)).toEqual({ at })
    expect(await executor.commands.cancel!({}, context)).toEqual({ wasScheduled: true })
    expect(await executor.commands.cancel!({}, context)).toEqual({ wasScheduled: false })
    expect(started.map(([program]) => program)).toEqual(Array(3).fill('/usr/sbin/shutdown'))
    // Each start is one the manifest asks root for.
    for (const [program, ...args] of started)
      expect(
        privileges.filter(
          (one) =>
            one.program === program &&
            one.args.length === args.length &&
            one.args.every((rule, i) =>
              typeof rule === 'object' && 'pattern' in rule
                ? new RegExp(`^(?:${rule.pattern})$`).test(args[i] ?? '')
                : rule === args[i],
            ),
        ),
      ).toHaveLength(1)
  })

  test('fail where the host did not take the reboot', async () => {
    const { context } = host()
    const deaf = { ...context, run: async () => undefined } as unknown as CommandContext
    await expect(executor.commands.schedule!({ minutes: 1 }, deaf)).rejects.toThrow('did not take the reboot')
  })

  test.each([0, 1441, 1.5, '1'])('take no delay of %j minutes', (minutes) => {
    expect(Compile(executor.contract.commands.schedule!.input!).Check({ minutes })).toBe(false)
  })
})

test.each([
  ['6.1.0-9-amd64', ['6.1.0-9-amd64', '6.1.0-10-amd64'], '6.1.0-10-amd64'],
  ['6.1.0-10-amd64', ['6.1.0-9-amd64', '6.1.0-10-amd64'], '6.1.0-10-amd64'],
  ['6.1.0-10-amd64', ['6.1.0-10-amd64', '6.1.0-12-cloud-amd64'], '6.1.0-10-amd64'],
  ['5.15.0-91-generic', ['5.15.0-91-generic', '6.5.0-14-generic'], '6.5.0-14-generic'],
  ['6.12.9-custom', ['6.1.0-10-amd64'], null],
])('the newest kernel like %s among %j is %s', (running, installed, newest) => {
  expect(newestLike(running, installed)).toBe(newest)
})
