import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { bad, type Finding, ok, warn } from './finding.ts'
import type { World } from './verb.ts'

const run = promisify(execFile)
const unit = 'orchestrator-server.service'

/** Clock and unit of this machine, as far as systemd knows them. */
export async function examineMachine({ installed }: World): Promise<readonly Finding[]> {
  if (!existsSync('/run/systemd/system')) return []
  return [...(await examineClock()), ...(installed ? await examineUnit() : [])]
}

async function examineClock(): Promise<readonly Finding[]> {
  const said = await ask('timedatectl', ['show', '-p', 'NTPSynchronized', '--value'])
  if (said === 'yes') return [ok('clock', 'kept by time synchronisation')]
  if (said === 'no')
    return [
      warn(
        'clock',
        'is not synchronised: signatures of agents, codes of second factors and times in the audit depend on it',
        'Turn it on: timedatectl set-ntp true',
      ),
    ]
  return []
}

async function examineUnit(): Promise<readonly Finding[]> {
  const names = ['LoadState', 'ActiveState', 'UnitFileState', 'NRestarts', 'NeedDaemonReload']
  const said = await ask('systemctl', ['show', unit, ...names.flatMap((name) => ['-p', name])])
  if (said === undefined) return []
  const is = Object.fromEntries(said.split('\n').map((line) => line.split('=', 2) as [string, string]))
  if (is.LoadState !== 'loaded')
    return [bad('unit', `${unit} is not installed`, 'Run the installer again: install-server.sh')]
  const findings: Finding[] = []
  if (is.ActiveState !== 'active')
    findings.push(
      bad(
        'unit',
        `is ${is.ActiveState}`,
        `Look why: journalctl -u ${unit} -n 50; then: systemctl start ${unit}`,
      ),
    )
  if (is.UnitFileState !== 'enabled')
    findings.push(warn('unit', 'does not start with the machine', `Run: systemctl enable ${unit}`))
  if (Number(is.NRestarts) > 3)
    findings.push(warn('unit', `was restarted ${is.NRestarts} times`, `Look why: journalctl -u ${unit}`))
  if (is.NeedDaemonReload === 'yes')
    findings.push(warn('unit', 'its file was changed', 'Run: systemctl daemon-reload'))
  return findings.length > 0 ? findings : [ok('unit', `${unit} is active and enabled`)]
}

async function ask(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    return (await run(program, args, { timeout: 5000 })).stdout.trim()
  } catch {
    return undefined
  }
}
