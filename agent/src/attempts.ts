import { constants } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createCheck } from './check.ts'
import {
  createDurably,
  createFolderDurably,
  makeFolder,
  readJson,
  readText,
  writeDurably,
  writeSynced,
} from './durable-file.ts'
import { errorCode } from './errors.ts'
import { isRunning, recordOf } from './process-record.ts'
import { AttemptEnding, AttemptProgress, AttemptRequest, CancelRequest, ProcessRecord } from './schemas.ts'

/**
 * The folder of one attempt: everything the agent and the runner tell each other. Both may die at any time.
 *
 * `request.json`, `started` (agent, both durable before `accept`; a power cut before that may leave either without the other) → `claimed` (whoever runs or buries it; created exactly once) → `output.log`,
 * `progress.json`, `programs/`, `cancel` → `result.json` → `final.json` (the frame as sent) → `acknowledged`.
 */
export interface AttemptFolder {
  readonly dir: string
  readonly output: string
  readonly work: string
  readonly runnerLog: string
  readonly file: (name: string) => string
}

const requestCheck = createCheck(AttemptRequest)
const endingCheck = createCheck(AttemptEnding)
const progressCheck = createCheck(AttemptProgress)
const cancelCheck = createCheck(CancelRequest)
const processCheck = createCheck(ProcessRecord)

/** The paths of an attempt's folder. */
export function attemptFolder(dir: string): AttemptFolder {
  return {
    dir,
    output: join(dir, 'output.log'),
    work: join(dir, 'work'),
    runnerLog: join(dir, 'runner.log'),
    file: (name) => join(dir, name),
  }
}

/**
 * Makes an attempt's folder and puts its start on stable storage; undefined where the folder exists, which means that this attempt was
 * started before. Where anything fails, nothing is left.
 */
export async function prepareAttempt(
  parent: string,
  request: AttemptRequest,
): Promise<AttemptFolder | undefined> {
  const folder = attemptFolder(join(parent, `${request.commandId}.${request.epoch}`))
  const isNew = await createFolderDurably(folder.dir, {
    'request.json': JSON.stringify(request),
    started: request.startedAt,
    'output.log': `$ ${request.plugin}.${request.command}\n`,
  })
  return isNew ? folder : undefined
}

/** Makes the folder of a started attempt anew where somebody removed it, taken, so that nothing starts in it; true where it was gone. */
export async function restoreFolder(folder: AttemptFolder, startedAt: string): Promise<boolean> {
  try {
    await mkdir(folder.dir, { mode: 0o700 })
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  }
  await claimAttempt(folder)
  await writeSynced(folder.file('started'), startedAt)
  return true
}

/** The request as it was accepted; undefined where the disk damaged it. */
export function readRequest(folder: AttemptFolder): Promise<AttemptRequest | undefined> {
  return readJson(folder.file('request.json'), requestCheck)
}

/** When the start became durable; undefined where it never did, so that nothing can have run. */
export function readStarted(folder: AttemptFolder): Promise<string | undefined> {
  return readText(folder.file('started'))
}

/**
 * Takes the attempt once and for all; false where somebody took it before. `pid` is the process that will run it; without one it is taken so that nobody
 * will.
 */
export async function claimAttempt(folder: AttemptFolder, pid?: number): Promise<boolean> {
  const nobody: ProcessRecord = { pid: 1, startTicks: '', bootId: '' }
  const record = pid === undefined ? nobody : (recordOf(pid) ?? { ...nobody, pid })
  return createDurably(folder.file('claimed'), JSON.stringify(record))
}

/** Who took the attempt: `nobody`, or whether that process still runs. */
export async function readClaim(folder: AttemptFolder): Promise<'nobody' | 'running' | 'gone'> {
  const text = await readText(folder.file('claimed'))
  if (text === undefined) return 'nobody'
  const record = await readJson(folder.file('claimed'), processCheck)
  return record && isRunning(record) ? 'running' : 'gone'
}

/** How the attempt ended, once it did. */
export function readEnding(folder: AttemptFolder): Promise<AttemptEnding | undefined> {
  return readJson(folder.file('result.json'), endingCheck)
}

/** Says how the attempt ended, durably; the first word counts. */
export async function writeEnding(folder: AttemptFolder, ending: AttemptEnding): Promise<void> {
  if ((await readEnding(folder)) === undefined)
    await writeDurably(folder.file('result.json'), JSON.stringify(ending))
}

export function readProgress(folder: AttemptFolder): Promise<AttemptProgress | undefined> {
  return readJson(folder.file('progress.json'), progressCheck)
}

/** Replaces the progress; it need not survive a power cut. */
export async function writeProgress(folder: AttemptFolder, progress: AttemptProgress): Promise<void> {
  const temporary = folder.file('progress.json.tmp')
  await writeFile(temporary, JSON.stringify(progress), { mode: 0o600 })
  await rename(temporary, folder.file('progress.json'))
}

/** Tells the runner to stop at its next safe point, or at once. A forced cancel is never weakened. */
export async function requestCancel(folder: AttemptFolder, wish: { readonly force: boolean }): Promise<void> {
  const former = await readCancel(folder)
  if (former && (former.force || !wish.force)) return
  await writeDurably(folder.file('cancel'), JSON.stringify(wish))
}

export function readCancel(folder: AttemptFolder): Promise<{ force: boolean } | undefined> {
  return readJson(folder.file('cancel'), cancelCheck)
}

/** Notes a program while it runs, so that it is found should the runner die. */
export async function noteProgram(folder: AttemptFolder, pid: number, keep: boolean): Promise<void> {
  const record = recordOf(pid)
  if (!record) return
  await makeFolder(folder.file('programs'))
  await writeFile(folder.file(join('programs', String(pid))), JSON.stringify({ ...record, keep }), {
    mode: 0o600,
  })
}

export async function forgetProgram(folder: AttemptFolder, pid: number): Promise<void> {
  await rm(folder.file(join('programs', String(pid))), { force: true })
}

/** The programs of the attempt that still run. */
export async function runningPrograms(folder: AttemptFolder): Promise<readonly ProcessRecord[]> {
  const names = await readdir(folder.file('programs')).catch(() => [])
  const records = await Promise.all(
    names.map((name) => readJson(folder.file(join('programs', name)), processCheck)),
  )
  return records.filter((record) => record !== undefined).filter(isRunning)
}

/** What the runner printed about itself, at most its last 2,000 characters. */
export async function readRunnerLog(folder: AttemptFolder): Promise<string> {
  const text = await readFile(folder.runnerLog, 'utf8').catch(() => '')
  return text.trim().slice(-2000)
}

/** Opens the output for appending; programs get this descriptor itself. */
export function openOutput(folder: AttemptFolder) {
  return open(folder.output, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600)
}

/**
 * Puts the output on stable storage before the verdict, so that no power cut leaves one without the other. Answers its bytes; 0 where the file is gone.
 */
export async function syncOutput(folder: AttemptFolder): Promise<number> {
  const file = await open(folder.output, 'r').catch(() => undefined)
  if (!file) return 0
  try {
    // What a failing disk cannot keep may still reach the server from memory.
    await file.sync().catch(() => undefined)
    return (await file.stat()).size
  } finally {
    await file.close()
  }
}

/** In bytes; 0 where the file is gone. */
export async function sizeOfOutput(folder: AttemptFolder): Promise<number> {
  return (await stat(folder.output).catch(() => undefined))?.size ?? 0
}

/** Gives back what an acknowledged attempt no longer needs; its verdict stays. */
export async function discardOutput(folder: AttemptFolder): Promise<void> {
  const names = ['output.log', 'progress.json', 'work', 'cancel', 'tail.json', 'programs', 'runner.log']
  await Promise.all(names.map((name) => rm(folder.file(name), { recursive: true, force: true })))
}
