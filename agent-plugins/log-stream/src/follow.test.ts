import { type ChildProcess, spawn } from 'node:child_process'
import { appendFile, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { logStream } from '@fleetupdate/plugin-log-stream/contract'
import type { CommandContext, RunOptions, RunResult } from '@fleetupdate/sdk/executor'
import { Compile } from 'typebox/compile'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import executor from './index.ts'

const input = Compile(logStream.commands.follow.input)
let root: string
let running: AbortController

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'follow-'))
  running = new AbortController()
  await mkdir(join(root, 'var/log/app'), { recursive: true })
})
afterEach(async () => {
  running.abort()
  await rm(root, { recursive: true })
})

/** A command context that starts real programs from `bin`, or from the system, and collects what they print. */
function contextWith(bin = ''): {
  context: CommandContext
  started: string[][]
  output: () => string
  saw: (text: string) => Promise<void>
} {
  let output = ''
  const waiting = new Set<() => void>()
  const started: string[][] = []
  const run = (
    program: string,
    args: readonly string[] = [],
    options: RunOptions = {},
  ): Promise<RunResult> => {
    started.push([program, ...args])
    const child: ChildProcess = spawn(bin ? join(bin, program) : program, args, {
      signal: running.signal,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      if (options.output !== 'capture') output += text
      for (const look of waiting) look()
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    return new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (exitCode, signal) => resolve({ exitCode: exitCode ?? 0, signal, stdout, stderr }))
    })
  }
  const fail = (reason: string): never => {
    throw new Error(reason)
  }
  const saw = (text: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (output.includes(text)) resolve()
      }
      waiting.add(look)
      look()
    })
  return {
    context: { root, run, fail, signal: running.signal } as unknown as CommandContext,
    started,
    output: () => output,
    saw,
  }
}

const follow = async (value: unknown, context: CommandContext): Promise<unknown> => {
  expect(input.Check(value)).toBe(true)
  return executor.commands.follow!(value, context)
}

describe('following a file', () => {
  test('shows what is there and what comes, also after a rotation', async () => {
    const file = join(root, 'var/log/app/app.log')
    await writeFile(file, 'first\n')
    const { context, saw, output } = contextWith()
    const following = follow({ file: '/var/log/app/app.log' }, context)
    following.catch(() => undefined)
    await saw('first\n')
    await appendFile(file, 'second\n')
    await saw('second\n')
    await rename(file, `${file}.1`)
    await writeFile(file, 'third\n')
    await saw('third\n')
    expect(output()).toBe('first\nsecond\nthird\n')
    running.abort()
    await expect(following).rejects.toThrow()
  })

  test('follows a link that stays inside, and refuses one that leads out', async () => {
    await writeFile(join(root, 'secret'), 'secret')
    await writeFile(join(root, 'var/log/app/1.log'), 'inside\n')
    await symlink(join(root, 'var/log/app/1.log'), join(root, 'var/log/current'))
    await symlink(join(root, 'secret'), join(root, 'var/log/app/leak.log'))
    await symlink(root, join(root, 'var/log/folder'))
    const { context, started, saw } = contextWith()
    follow({ file: '/var/log/current' }, context).catch(() => undefined)
    await saw('inside')
    expect(started).toEqual([
      ['tail', '--follow=name', '--retry', '--lines=100', '--', join(root, 'var/log/app/1.log')],
    ])
    for (const file of ['/var/log/app/leak.log', '/var/log/folder/secret'])
      await expect(follow({ file }, context)).rejects.toThrow('Only files below /var/log')
  })

  test.each([
    ['/etc/shadow', 'Only files below /var/log'],
    ['/var/logs', 'Only files below /var/log'],
    ['/var/log/../../etc/shadow', 'Only files below /var/log'],
    ['/var/log/app/none.log', 'There is no file'],
    ['/var/log/app', 'not a regular file'],
  ])('refuses %s with a reason', async (file, reason) => {
    const { context, started } = contextWith()
    await expect(follow({ file }, context)).rejects.toThrow(reason)
    expect(started).toEqual([])
  })

  test.each(['relative.log', '/var/log/a\nb', '/', ''])('does not take %j as a path', (file) => {
    expect(input.Check({ file })).toBe(false)
  })
})

describe('following a unit', () => {
  /** Programs that answer as systemd's do, with the texts of version 252. */
  const programs = async (systemctl: string, journalctl: string): Promise<string> => {
    const bin = join(root, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'systemctl'), `#!/bin/sh\n${systemctl}\n`, { mode: 0o755 })
    await writeFile(join(bin, 'journalctl'), `#!/bin/sh\n${journalctl}\n`, { mode: 0o755 })
    return bin
  }

  test('starts journalctl with nothing but the fixed arguments and the name', async () => {
    const { context, started, output } = contextWith(await programs('echo LoadState=loaded', 'echo entry'))
    await follow({ unit: 'getty@tty1' }, context)
    expect(started.at(-1)).toEqual([
      'journalctl',
      '--follow',
      '--no-hostname',
      '--lines=100',
      '--output=short-iso',
      '--unit=getty@tty1',
    ])
    expect(output()).toBe('entry\n')
  })

  test('says that a unit does not exist', async () => {
    const { context } = contextWith(await programs('echo LoadState=not-found', 'exit 9'))
    await expect(follow({ unit: 'nginx.service' }, context)).rejects.toThrow(
      'There is no unit "nginx.service"',
    )
  })

  test('says which group is missing where the journal can not be read', async () => {
    const hint = 'echo "No journal files were opened due to insufficient permissions." >&2; exit 1'
    const { context } = contextWith(await programs('echo LoadState=loaded', hint))
    await expect(follow({ unit: 'ssh' }, context)).rejects.toThrow('usermod -aG systemd-journal orchestrator')
  })

  test('says that systemd does not run', async () => {
    const text = 'echo "System has not been booted with systemd as init system (PID 1)." >&2; exit 1'
    const { context } = contextWith(await programs(text, 'exit 9'))
    await expect(follow({ unit: 'ssh' }, context)).rejects.toThrow('systemd does not answer')
  })

  test.each(['a b', '*', 'a;b', '', '$(id)', 'a/b', 'a\n'])('does not take %j as a unit', (unit) => {
    expect(input.Check({ unit })).toBe(false)
  })

  test('takes one of unit and file, and nothing else', () => {
    expect(input.Check({ unit: 'ssh', file: '/var/log/syslog' })).toBe(false)
    expect(input.Check({ unit: 'ssh', lines: 5 })).toBe(false)
    expect(input.Check({ unit: 'dev-disk-by\\x2duuid.device' })).toBe(true)
  })
})
