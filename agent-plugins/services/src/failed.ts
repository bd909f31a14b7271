import type { FailedUnit } from '@fleetupdate/plugin-services/contract'
import type { ExecutorContext } from '@fleetupdate/sdk/executor'

const args = ['list-units', '--state=failed', '--plain', '--no-legend', '--no-pager', '--full']

/** The failed units, sorted by name. Throws a sentence where systemd does not answer. */
export async function collectFailed({ run }: ExecutorContext): Promise<FailedUnit[]> {
  const { exitCode, stdout, stderr } = await run('systemctl', args, { output: 'capture', okCodes: [0, 1] })
  if (exitCode !== 0) throw new Error(`systemd does not answer on this host: ${firstLine(stderr)}`)
  return parseUnits(stdout).slice(0, 500)
}

/** Lines of `systemctl list-units --plain --no-legend`: unit, load, active, sub, description. */
export function parseUnits(text: string): FailedUnit[] {
  return text
    .split('\n')
    .flatMap((line) => {
      const [, unit, description = ''] = /^(\S+)\s+\S+\s+\S+\s+\S+\s*(.*)$/.exec(line.trim()) ?? []
      return unit === undefined ? [] : [{ unit: unit.slice(0, 255), description: description.slice(0, 500) }]
    })
    .sort((a, b) => (a.unit < b.unit ? -1 : 1))
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0] || 'no reason given'
}
