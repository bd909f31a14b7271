#!/usr/bin/env node
import { readdir } from 'node:fs/promises'
import { argv, exit, getuid, stderr, stdout } from 'node:process'
import { describeError } from '../errors.ts'
import { childProgram, startProcess, supervise } from '../run.ts'
import { applyUpdate } from './apply.ts'
import { installedPaths } from './paths.ts'
import { createUpdateRecords } from './records.ts'
import { UpdateRefused } from './refusal.ts'
import { runTrial, type Service } from './trial.ts'

/**
 * The program that replaces the agent, as root. `apply HASH`, in the unit orchestrator-agent-update@HASH, puts a signed release beside the running one and starts
 * the unit of the trial; `trial`, in that unit, switches over and back. What it trusts is in {@link installedPaths} and belongs to root; whatever it reads of the agent's is judged first.
 */

const trialUnit = 'orchestrator-agent-update.service'
const agentUnit = 'orchestrator-agent.service'
const patienceMs = 120_000
const refusedCode = 126

async function main([verb, hash = '']: readonly string[]): Promise<void> {
  if (getuid?.() !== 0) throw new UpdateRefused('the updater must be started as root')
  if (verb === 'apply' && /^[0-9a-f]{64}$/.test(hash)) {
    await readdir('/run/systemd/system').catch(() => {
      throw new UpdateRefused('updates need systemd, which starts the agent anew')
    })
    const { from, to } = await applyUpdate(installedPaths, hash).catch(async (error: unknown) => {
      // The agent, which asked through systemd, reads it there.
      await createUpdateRecords(installedPaths.records).refuse(hash, describeError(error))
      throw error
    })
    await systemctl('start', '--no-block', trialUnit)
    stdout.write(`${to} stands beside ${from}; its trial begins.\n`)
    return
  }
  if (verb !== 'trial') throw new UpdateRefused('use: agent-updater apply HASH | trial')
  const outcome = await runTrial({ paths: installedPaths, service, patienceMs })
  if (!outcome) return
  const { from, to, result, reason } = outcome
  stdout.write(
    result === 'updated'
      ? `Updated from ${from} to ${to}: the server let it in.\n`
      : `Back to ${from}: ${reason}\n`,
  )
}

const service: Service = {
  reload: async () => void (await systemctl('daemon-reload')),
  restart: async () => void (await systemctl('restart', '--no-block', agentUnit)),
  restarts: async () => Number(await systemctl('show', '-P', 'NRestarts', agentUnit)) || 0,
  async lastWords() {
    const args = ['-u', agentUnit, '-n', '3', '-o', 'cat', '--no-pager', '_TRANSPORT=stdout']
    const { stdout: text } = await start('/usr/bin/journalctl', args)
    return text.trim().split('\n').join(' | ').slice(0, 1500)
  },
}

async function systemctl(...args: readonly string[]): Promise<string> {
  const { exitCode, stdout: text, stderr: problem } = await start('/usr/bin/systemctl', args)
  if (exitCode !== 0) throw new Error(`systemctl ${args.join(' ')}: ${problem.trim()}`)
  return text.trim()
}

function start(program: string, args: readonly string[]) {
  const child = startProcess({ program, args, stdio: ['ignore', 'pipe', 'pipe'] })
  return supervise(childProgram(child, program), { name: program, timeoutMs: 60_000 })
}

main(argv.slice(2)).then(
  () => exit(0),
  (error: unknown) => {
    stderr.write(`agent-updater: ${error instanceof Error ? error.message : error}\n`)
    exit(error instanceof UpdateRefused ? refusedCode : 1)
  },
)
