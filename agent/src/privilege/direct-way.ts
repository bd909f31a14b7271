import { closeSync, openSync } from 'node:fs'
import { childProgram, findProgram, startProcess, supervise } from '../run.ts'
import type { PrivilegedWay, UnitStart, WayOptions } from './privilege.ts'

/** The way of an agent that is root itself. */
export function createDirectWay({ systemd }: WayOptions): PrivilegedWay {
  return {
    kind: 'direct',
    async run({ privilege, args, files, cwd }) {
      const { out, err, status } = files
      const opened = [out, err, ...(status === undefined ? [] : [status])].map((file) => openSync(file, 'a'))
      try {
        const { program, env = {} } = privilege
        const child = startProcess({ program, args, env, cwd: cwd ?? '/', stdio: ['ignore', ...opened] })
        return childProgram(child, program)
      } finally {
        for (const one of opened) closeSync(one)
      }
    },
    startUnit: systemd ? startUnit : undefined,
    open: undefined,
    probe: async (privileges) =>
      privileges.map(({ plugin, privilege }) => {
        const ok = findProgram(privilege.program) !== undefined
        const missing = `Install the program ${privilege.program}.`
        return { id: privilege.id, plugin, ok, ...(ok ? {} : { missing }) }
      }),
  }
}

async function startUnit({ commandId, epoch, command }: UnitStart) {
  const unit = `--unit=fleetupdate-${commandId}-${epoch}`
  const properties = ['KillMode=process', 'OOMPolicy=continue', 'TimeoutStopSec=15min'].map(
    (one) => `--property=${one}`,
  )
  const child = startProcess({
    program: '/usr/bin/systemd-run',
    args: [unit, '--collect', '--quiet', ...properties, '--', ...command],
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const name = 'systemd-run'
  const { exitCode, stdout, stderr } = await supervise(childProgram(child, name), { name, timeoutMs: 30_000 })
  return { exitCode, said: (stderr || stdout).trim() }
}
