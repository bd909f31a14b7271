import type { CommandContext } from '@fleetupdate/sdk/executor'

/** Shows the journal of one unit from its last 100 lines on. Fails with the reason where it can't be seen. */
export async function followUnit(unit: string, context: CommandContext): Promise<void> {
  const { run, fail } = context
  const state = await run('systemctl', ['show', '--property=LoadState', '--', unit], {
    output: 'capture',
    okCodes: [0, 1, 4],
  })
  if (state.exitCode !== 0) fail(`systemd does not answer on this host: ${firstLine(state.stderr)}`)
  if (state.stdout.includes('LoadState=not-found'))
    fail(`There is no unit "${unit}" on this host. "systemctl list-units --all" names them.`)

  const probe = await run('journalctl', ['--no-pager', '--lines=1', '--output=cat', `--unit=${unit}`], {
    output: 'capture',
    okCodes: [0, 1],
  })
  if (/insufficient permissions|not seeing messages|permission denied/i.test(probe.stderr))
    fail(
      'The agent may not read the journal. Add its user to the group: usermod -aG systemd-journal orchestrator',
    )
  if (/no journal files were found/i.test(probe.stderr)) fail('This host keeps no journal.')

  await run('journalctl', [
    '--follow',
    '--no-hostname',
    '--lines=100',
    '--output=short-iso',
    `--unit=${unit}`,
  ])
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0] || 'no reason given'
}
