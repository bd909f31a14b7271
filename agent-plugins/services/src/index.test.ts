import { Manifest } from '@fleetupdate/sdk'
import { type ExecutorReport, type Transcript, testExecutor } from '@fleetupdate/sdk/testing'
import { Compile } from 'typebox/compile'
import { describe, expect, test } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }
import executor from './index.ts'

const list = ['list-units', '--state=failed', '--plain', '--no-legend', '--no-pager', '--full']
const properties = '--property=Id,LoadState,ActiveState,SubState,UnitFileState'
const failedUnits: Transcript = {
  program: 'systemctl',
  args: list,
  stdout:
    'nginx.service loaded failed failed A high performance web server\nbackup.timer  loaded failed failed\n',
}
const show = (unit: string, text: string): Transcript => ({
  program: 'systemctl',
  args: ['show', properties, '--', unit],
  stdout: text,
})
const running = show(
  'nginx',
  'Id=nginx.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n',
)
const nginx = { unit: 'nginx.service', active: 'active', sub: 'running', enabled: 'enabled' }
const change = (verb: string, unit = 'nginx', exitCode = 0): Transcript => ({
  program: '/usr/bin/systemctl',
  args: [verb, '--', unit],
  exitCode,
})

const tryCommand = (name: string, unit: string, ...transcripts: Transcript[]): Promise<ExecutorReport> =>
  testExecutor(executor, {
    transcripts: [failedUnits, ...transcripts],
    commands: { [name]: { input: { unit } } },
  })

describe('failed units', () => {
  test('are read from what systemctl prints', async () => {
    const { facts, problems } = await testExecutor(executor, { transcripts: [failedUnits] })
    expect(problems).toEqual([])
    expect(facts.failed).toEqual([
      { unit: 'backup.timer', description: '' },
      { unit: 'nginx.service', description: 'A high performance web server' },
    ])
  })

  test('cannot be told where systemd does not run', async () => {
    const stderr = "System has not been booted with systemd as init system (PID 1). Can't operate.\n"
    const { problems } = await testExecutor(executor, {
      transcripts: [{ program: 'systemctl', args: list, exitCode: 1, stderr }],
    })
    expect(problems).toEqual([expect.stringContaining('systemd does not answer on this host')])
  })
})

describe('a unit', () => {
  test.each(['start', 'stop', 'restart'])('is changed by %s, and its state then told', async (verb) => {
    const { results, problems } = await tryCommand(verb, 'nginx', running, change(verb))
    expect(problems).toEqual([])
    expect(results[verb]).toEqual(nginx)
  })

  test('is shown, also where it does not run', async () => {
    const status: Transcript = {
      program: 'systemctl',
      args: ['status', '--no-pager', '--full', '--lines=50', '--', 'nginx'],
      exitCode: 3,
    }
    expect(await tryCommand('status', 'nginx', running, status)).toMatchObject({
      problems: [],
      results: { status: nginx },
    })
  })

  test('is followed with nothing but the fixed arguments and its name', async () => {
    const args = ['--follow', '--no-hostname', '--lines=100', '--output=short-iso', '--unit=nginx']
    const { problems } = await tryCommand('journal', 'nginx', running, { program: 'journalctl', args })
    expect(problems).toEqual([])
  })

  test('that does not exist is named', async () => {
    const { problems } = await tryCommand(
      'restart',
      'ngnix',
      show('ngnix', 'Id=ngnix.service\nLoadState=not-found\n'),
    )
    expect(problems).toEqual([expect.stringContaining('There is no unit "ngnix"')])
  })

  test('that systemd could not start is a failure with its state', async () => {
    const dead = show(
      'nginx',
      'Id=nginx.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=enabled\n',
    )
    const { problems } = await tryCommand('start', 'nginx', dead, change('start', 'nginx', 1))
    expect(problems).toEqual([expect.stringContaining('it is failed (failed)')])
  })

  test.each(['orchestrator-agent', 'orchestrator-agent.service'])(
    '%s, the agent itself, is not stopped',
    async (unit) => {
      for (const verb of ['stop', 'restart'])
        expect((await tryCommand(verb, unit)).problems).toEqual([expect.stringContaining('the agent itself')])
    },
  )
})

test('root is asked for exactly the three changes', () => {
  const { privileges = [] } = Compile(Manifest).Parse(packageJson.fleetupdate)
  expect(privileges.map(({ program, args }) => [program, args[0], args[1]])).toEqual(
    ['start', 'stop', 'restart'].map((verb) => ['/usr/bin/systemctl', verb, '--']),
  )
  for (const { args } of privileges) {
    const rule = args[2]
    const pattern =
      typeof rule === 'object' && 'pattern' in rule ? new RegExp(`^(?:${rule.pattern})$`, 'u') : /$^/
    expect(pattern.test('getty@tty1.service')).toBe(true)
    for (const unit of ['--now', 'a b', 'a/b', '']) expect(pattern.test(unit)).toBe(false)
  }
})
