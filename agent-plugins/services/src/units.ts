import type { UnitState } from '@fleetupdate/plugin-services/contract'
import type { CommandContext } from '@fleetupdate/sdk/executor'

/** Prints what systemd knows about a unit and what it logged last. Fails where there is no such unit. */
export async function showUnit(unit: string, context: CommandContext): Promise<UnitState> {
  const state = await requireUnit(unit, context)
  // 3: it does not run, which is an answer.
  await context.run('systemctl', ['status', '--no-pager', '--full', '--lines=50', '--', unit], {
    okCodes: [0, 3],
  })
  return state
}

/** Prints a unit's journal from its last 100 lines on, until the command is cancelled. */
export async function followUnit(unit: string, context: CommandContext): Promise<void> {
  await requireUnit(unit, context)
  await context.run('journalctl', [
    '--follow',
    '--no-hostname',
    '--lines=100',
    '--output=short-iso',
    `--unit=${unit}`,
  ])
}

/** Starts, stops or restarts a unit as root, and answers how it is afterwards. */
export async function changeUnit(
  verb: 'start' | 'stop' | 'restart',
  unit: string,
  context: CommandContext,
): Promise<UnitState> {
  if (verb !== 'start' && ownUnits.has(unit.replace(/\.service$/, '')))
    context.fail(`"${unit}" is the agent itself: it would end this very command. Do it on the host.`)
  await requireUnit(unit, context)
  const { exitCode } = await context.run('/usr/bin/systemctl', [verb, '--', unit], {
    okCodes: [0, 1, 3, 4, 5],
  })
  const state = await requireUnit(unit, context)
  if (exitCode !== 0)
    context.fail(
      `systemd could not ${verb} "${unit}": it is ${state.active} (${state.sub}). See services.status.`,
      {
        exitCode,
      },
    )
  return state
}

const ownUnits: ReadonlySet<string> = new Set(['orchestrator-agent'])

async function requireUnit(unit: string, { run, fail }: CommandContext): Promise<UnitState> {
  const properties = ['--property=Id,LoadState,ActiveState,SubState,UnitFileState']
  const { exitCode, stdout, stderr } = await run('systemctl', ['show', ...properties, '--', unit], {
    output: 'capture',
    okCodes: [0, 1, 4],
  })
  if (exitCode !== 0) fail(`systemd does not answer on this host: ${stderr.trim().split('\n', 1)[0]}`)
  const values = new Map(stdout.split('\n').map((line) => splitOnce(line)))
  const value = (key: string): string => values.get(key) ?? ''
  if (value('LoadState') === 'not-found')
    fail(`There is no unit "${unit}" on this host. "systemctl list-units --all" names them.`)
  return {
    unit: value('Id'),
    active: value('ActiveState'),
    sub: value('SubState'),
    enabled: value('UnitFileState'),
  }
}

function splitOnce(line: string): readonly [string, string] {
  const at = line.indexOf('=')
  return [line.slice(0, Math.max(at, 0)), line.slice(at + 1).trim()]
}
