import { readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '@fleetupdate/sdk'
import { AgentFrame, type AgentFrameOf } from '@fleetupdate/sdk/protocol'
import { damageSentence, neverBegan, setDamagedAside } from './attempt-damage.ts'
import {
  type AttemptFolder,
  attemptFolder,
  discardOutput,
  prepareAttempt,
  readEnding,
  readRequest,
  readStarted,
} from './attempts.ts'
import { createCheck } from './check.ts'
import { createDurably, makeFolder, readJson, readText, writeDurably } from './durable-file.ts'
import { agentError } from './errors.ts'
import type { AttemptEnding, AttemptRequest } from './schemas.ts'

export interface JournalEntry {
  readonly commandId: string
  readonly epoch: number
  readonly folder: AttemptFolder
  /** ISO, when the start became durable. */
  readonly startedAt: string
  /** Undefined where the disk damaged it. */
  readonly request: AttemptRequest | undefined
  /** What the disk damaged, as a sentence; '' where nothing is. */
  readonly damage: string
}

/** What this agent ever started, on disk: an attempt starts at most once, whatever is replayed or restarted. */
export interface Journal {
  /** Attempts whose result the server does not have durably yet, oldest first. */
  open(): Promise<readonly JournalEntry[]>
  /** 0 where no attempt of the command is known. */
  highestEpoch(commandId: string): number
  has(commandId: string, epoch: number): boolean
  /** The result frame of an attempt that ended, as it was sent. */
  finalFrame(commandId: string, epoch: number): Promise<AgentFrameOf<'result'> | undefined>
  /** The same for one that may be long acknowledged; where the disk damaged it, what is still known. */
  lastWord(commandId: string, epoch: number): Promise<AgentFrameOf<'result'> | undefined>
  /** Puts the start on stable storage; undefined where this attempt was started before. */
  start(request: AttemptRequest): Promise<JournalEntry | undefined>
  writeFinalFrame(frame: AgentFrameOf<'result'>): Promise<void>
  /** The server has the result: the output goes, the verdict stays. */
  acknowledge(commandId: string, epoch: number): Promise<void>
  rememberCancel(commandId: string, epoch: number): Promise<void>
  isCancelled(commandId: string, epoch: number): boolean
  /** Forgets what nobody can ask for any more. */
  sweep(nowMs: number): Promise<void>
}

const dayMs = 86_400_000
const keptMs = 30 * dayMs
/** A cancel of something never accepted tells no expiry; offers live a day by default, a week at most is assumed. */
const tombstoneMs = 37 * dayMs
const mostTombstones = 10_000
const namePattern =
  /^([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\.([1-9][0-9]{0,6})$/
const resultCheck = createCheck(AgentFrame.result)

/** Opens the journal of a state folder. Files that cannot be read are set aside and told to the log. */
export async function openJournal(stateDir: string, log: Pick<Log, 'error'>): Promise<Journal> {
  const attempts = join(stateDir, 'attempts')
  const cancelled = join(stateDir, 'cancelled')
  await Promise.all([makeFolder(attempts), makeFolder(cancelled)])
  /** Command → its epochs; the folders' names suffice. A list, because most have one, and they stay for weeks. */
  const known = new Map<string, number[]>()
  const tombstones = new Map<string, number>()
  for (const { commandId, epoch } of await names(attempts)) add(known, commandId, epoch)
  for (const { commandId, epoch } of await names(cancelled)) mark(tombstones, commandId, epoch)
  const folderOf = (commandId: string, epoch: number): AttemptFolder =>
    attemptFolder(join(attempts, `${commandId}.${epoch}`))

  return {
    async open() {
      const entries: JournalEntry[] = []
      for (const { commandId, epoch } of await names(attempts)) {
        const folder = folderOf(commandId, epoch)
        if ((await readText(folder.file('acknowledged'))) !== undefined) continue
        if (await neverBegan(folder)) {
          // It was never accepted, and the offer may come again.
          await rm(folder.dir, { recursive: true, force: true })
          forget(known, commandId, epoch)
          continue
        }
        const damaged = await setDamagedAside(folder)
        const damage = damageSentence(damaged)
        if (damage !== '') tellDamage(log, folder.dir, damaged)
        entries.push({
          commandId,
          epoch,
          folder,
          startedAt: validTime((await readStarted(folder)) ?? ''),
          request: await readRequest(folder),
          damage,
        })
      }
      return entries.sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1))
    },
    highestEpoch: (commandId) => Math.max(0, ...(known.get(commandId) ?? [])),
    has: (commandId, epoch) => known.get(commandId)?.includes(epoch) === true,
    finalFrame: (commandId, epoch) => readJson(folderOf(commandId, epoch).file('final.json'), resultCheck),
    async lastWord(commandId, epoch) {
      const folder = folderOf(commandId, epoch)
      const whole = await readJson(folder.file('final.json'), resultCheck)
      if (whole || (await readText(folder.file('acknowledged'))) === undefined) return whole
      const damaged = await setDamagedAside(folder)
      if (damaged.length > 0) tellDamage(log, folder.dir, damaged)
      const { outputSize: _, ...ending } =
        (await readEnding(folder)) ?? forgottenEnding(validTime((await readStarted(folder)) ?? ''))
      const frame = { type: 'result', commandId, epoch, ...ending, output: { bytes: 0 } } as const
      await writeDurably(folder.file('final.json'), JSON.stringify(frame))
      return frame
    },
    async start(request) {
      const folder = await prepareAttempt(attempts, request)
      add(known, request.commandId, request.epoch)
      if (!folder) return undefined
      const { commandId, epoch, startedAt } = request
      return { commandId, epoch, folder, startedAt, request, damage: '' }
    },
    writeFinalFrame: (frame) =>
      writeDurably(folderOf(frame.commandId, frame.epoch).file('final.json'), JSON.stringify(frame)),
    async acknowledge(commandId, epoch) {
      const folder = folderOf(commandId, epoch)
      await writeFile(folder.file('acknowledged'), new Date().toISOString(), { mode: 0o600 })
      await discardOutput(folder)
    },
    async rememberCancel(commandId, epoch) {
      if ((tombstones.get(commandId) ?? 0) >= epoch || tombstones.size >= mostTombstones) return
      mark(tombstones, commandId, epoch)
      await createDurably(join(cancelled, `${commandId}.${epoch}`), '')
    },
    isCancelled: (commandId, epoch) => (tombstones.get(commandId) ?? 0) >= epoch,
    async sweep(nowMs) {
      for (const { commandId, epoch } of await names(attempts)) {
        const folder = folderOf(commandId, epoch)
        const request = await readRequest(folder)
        const expiresMs = request ? Date.parse(request.expiresAt) : (await stat(folder.dir)).mtimeMs + dayMs
        if (nowMs < expiresMs + keptMs) continue
        if ((await readText(folder.file('acknowledged'))) === undefined && !(await hasFinal(folder))) continue
        await rm(folder.dir, { recursive: true, force: true })
        forget(known, commandId, epoch)
      }
      for (const { name, commandId } of await names(cancelled)) {
        const path = join(cancelled, name)
        if (nowMs < (await stat(path)).mtimeMs + tombstoneMs) continue
        await rm(path, { force: true })
        tombstones.delete(commandId)
      }
    },
  }
}

async function names(folder: string): Promise<{ name: string; commandId: string; epoch: number }[]> {
  return (await readdir(folder)).flatMap((name) => {
    const [, commandId, epoch] = namePattern.exec(name) ?? []
    return commandId === undefined ? [] : [{ name, commandId, epoch: Number(epoch) }]
  })
}

function tellDamage(log: Pick<Log, 'error'>, folder: string, names: readonly string[]): void {
  const { code, message } = agentError('FLT_ATTEMPT_DAMAGED', { folder, files: names.join(', ') })
  log.error(`${code}: ${message}`)
}

/** Of an attempt that ended and was acknowledged, but whose record the disk destroyed since. */
function forgottenEnding(startedAt: string): AttemptEnding {
  const reason =
    'It ended and was acknowledged; since then the disk of the machine damaged the record of how.'
  return { state: 'interrupted', reason, startedAt, finishedAt: new Date().toISOString() }
}

async function hasFinal(folder: AttemptFolder): Promise<boolean> {
  return (await readText(folder.file('final.json'))) !== undefined
}

function add(known: Map<string, number[]>, commandId: string, epoch: number): void {
  const epochs = known.get(commandId)
  if (!epochs) known.set(commandId, [epoch])
  else if (!epochs.includes(epoch)) epochs.push(epoch)
}

function forget(known: Map<string, number[]>, commandId: string, epoch: number): void {
  const others = known.get(commandId)?.filter((each) => each !== epoch) ?? []
  if (others.length > 0) known.set(commandId, others)
  else known.delete(commandId)
}

function mark(tombstones: Map<string, number>, commandId: string, epoch: number): void {
  tombstones.set(commandId, Math.max(epoch, tombstones.get(commandId) ?? 0))
}

function validTime(text: string): string {
  return Number.isNaN(Date.parse(text)) ? new Date(0).toISOString() : text
}
