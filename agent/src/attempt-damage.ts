import { readdir, rename } from 'node:fs/promises'
import type { TSchema } from '@fleetupdate/sdk'
import { AgentFrame } from '@fleetupdate/sdk/protocol'
import type { AttemptFolder } from './attempts.ts'
import { createCheck, parseJson } from './check.ts'
import { readText, syncFolder } from './durable-file.ts'
import { errorCode } from './errors.ts'
import { AttemptEnding, AttemptRequest, ProcessRecord, TailPoint } from './schemas.ts'

/** What every file of an attempt must look like. */
const checks = Object.entries<TSchema>({
  'request.json': AttemptRequest,
  claimed: ProcessRecord,
  'result.json': AttemptEnding,
  'final.json': AgentFrame.result,
  'tail.json': TailPoint,
}).map(([name, schema]) => [name, createCheck(schema)] as const)

/** Ending of the name of a file that was set aside. */
export const damagedEnding = '.damaged'

/**
 * Looks at the files an earlier agent left in an attempt's folder. One that cannot be read (a disk, a power cut) is set aside as `NAME.damaged`, so
 * that it misleads nobody and is not lost. Answers the names.
 */
export async function setDamagedAside(folder: AttemptFolder): Promise<readonly string[]> {
  const damaged: string[] = []
  for (const [name, check] of checks) {
    const text = await readText(folder.file(name)).catch(unreadable)
    if (text === undefined || check.accepts(parseJson(text))) continue
    await rename(folder.file(name), folder.file(`${name}${damagedEnding}`))
    damaged.push(name)
  }
  if (damaged.length > 0) await syncFolder(folder.dir)
  return damaged
}

/**
 * A power cut before the start was whole on the disk leaves `request.json` or `started` missing, empty or full of zeros. It was not accepted then, and
 * nothing ran: it may be forgotten. Not so where somebody took the attempt, or a file was set aside earlier.
 */
export async function neverBegan(folder: AttemptFolder): Promise<boolean> {
  // A folder that the disk cannot read counts as damaged.
  const names = await readdir(folder.dir).catch((error: unknown) => [unreadable(error) + damagedEnding])
  if (names.some((name) => name === 'claimed' || name.endsWith(damagedEnding))) return false
  const texts = ['request.json', 'started'].map((name) => readText(folder.file(name)).catch(unreadable))
  return (await Promise.all(texts)).some((text) => text === undefined || /^\0*$/.test(text))
}

/** What a broken disk answers instead of a file; it must not keep the agent from everything else. */
function unreadable(error: unknown): string {
  if (!['EIO', 'EISDIR', 'EUCLEAN', 'EBADMSG'].includes(errorCode(error))) throw error
  return 'unreadable'
}

/** For the reason of the result. */
export function damageSentence(names: readonly string[]): string {
  if (names.length === 0) return ''
  const kept = names.map((name) => `${name}${damagedEnding}`).join(', ')
  return `The disk damaged ${names.join(', ')} of this attempt on the machine; kept as ${kept}.`
}
