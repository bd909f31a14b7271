import { FleetError } from '@fleetupdate/sdk'
import type { ServerConfig } from '../config.ts'
import { asOwnerOfFolder } from './data-dir.ts'
import { examineData } from './doctor-data.ts'
import { examineKey } from './doctor-key.ts'
import { examineMachine } from './doctor-machine.ts'
import { examineServer } from './doctor-server.ts'
import { bad, type Finding, ok, warn } from './finding.ts'
import { type Call, exitCodes, type Verb } from './verb.ts'

/** Looks at everything a server stands on, changes nothing, and says for each thing that is wrong what to do. */
export const doctorVerb: Verb = {
  summary: 'Examine settings, data, master key, port, certificate, clock and units',
  details: ['Changes nothing, and runs beside the server. The exit code is 1 where something is broken.'],
  examples: ['', '--json'],
  async run(call) {
    const findings = await examine(call)
    const isFine = findings.every(({ level }) => level !== 'bad')
    return {
      lines: findings.flatMap(({ check, level, says, fix }) => [
        `${marks[level]} ${check.padEnd(12)} ${says}`,
        ...(fix === undefined ? [] : [`${' '.repeat(15)}→ ${fix}`]),
      ]),
      json: { ok: isFine, findings },
      exitCode: isFine ? exitCodes.done : exitCodes.finding,
    }
  },
}

const marks = { ok: '✓', warn: '!', bad: '✗' } as const

async function examine(call: Call): Promise<readonly Finding[]> {
  const { world } = call
  const findings: Finding[] = [nodeFinding(world.nodeVersion)]
  let config: ServerConfig
  try {
    config = call.config()
    findings.push(ok('settings', 'all of them fit'))
  } catch (error) {
    return [...findings, bad('settings', sentence(error), 'Correct it, then run this again.')]
  }
  for (const notice of config.notices)
    findings.push(warn('settings', notice, 'See docs/reference/settings.md.'))
  try {
    asOwnerOfFolder(config, world)
  } catch (error) {
    return [...findings, bad('data', sentence(error), 'Put sudo before it.')]
  }
  const parts = [
    () => examineData(config),
    () => examineKey(config),
    () => examineServer(config, world),
    () => examineMachine(world),
  ]
  for (const part of parts) {
    try {
      findings.push(...(await part()))
    } catch (error) {
      findings.push(bad('doctor', sentence(error), 'Look at what it names.'))
    }
  }
  return findings
}

function nodeFinding(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isGood = major > 20 || (major === 20 && minor >= 19)
  return isGood
    ? ok('node', `version ${version}`)
    : bad('node', `version ${version} is too old`, 'Install Node 20.19 or newer.')
}

function sentence(error: unknown): string {
  const { message } = error instanceof Error ? error : new Error(String(error))
  return error instanceof FleetError ? message : message.replace(/\s+/g, ' ')
}
