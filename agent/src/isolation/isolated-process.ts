import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Manifest } from '@fleetupdate/sdk'
import { parseJson } from '../check.ts'
import { agentError } from '../errors.ts'
import { readLines } from './line-reader.ts'
import type { Order, Said } from './messages.ts'
import type { Started } from './started.ts'

/** Where a third-party executor's module is, and what it must be. */
export interface IsolatedSource {
  readonly id: string
  readonly manifest: Manifest
  /** Absolute path of its module. */
  readonly entry: string
  /** What the keeper found; undefined for an unsigned one. */
  readonly entrySha256: string | undefined
  /** Of its bundle, for whoever starts it as root; undefined for an unsigned one. */
  readonly bundle: string | undefined
}

export type StartIsolated = (source: IsolatedSource, seconds: number) => Started

/** The process of an executor that has loaded its module, or is about to. */
export interface IsolatedProcess {
  send(order: Order): void
  /** Called with each line it says; lines that are no JSON object with a `say` end it. */
  listen(take: (said: Said) => void): void
  /** Resolves with the reason once it is gone. */
  readonly ended: Promise<string>
  /** Lets it end by itself within two seconds, then makes sure. */
  close(reason?: string): void
}

const lineLength = 1024 * 1024
/** It travels in one line. */
const moduleBytes = 2 * 1024 * 1024
const graceMs = 2000

/**
 * Starts the process of an executor and hands it its module, whose hash is compared at this very moment. `total` limits all that it may say, in
 * characters. Throws FLT_EXECUTOR_MODIFIED.
 */
export async function startIsolated(
  start: StartIsolated,
  source: IsolatedSource,
  options: { readonly seconds: number; readonly total?: number },
): Promise<IsolatedProcess> {
  const bytes = await readFile(source.entry)
  if (bytes.length > moduleBytes)
    throw agentError('FLT_EXECUTOR_ISOLATED', { id: source.id, problem: 'its module is larger than 2 MiB' })
  const found = createHash('sha256').update(bytes).digest('hex')
  if (source.entrySha256 !== undefined && found !== source.entrySha256)
    throw agentError('FLT_EXECUTOR_MODIFIED', { id: source.id })
  const { stdin, stdout, ended: gone, kill } = start(source, options.seconds)
  let why: string | undefined
  let take: (said: Said) => void = () => undefined
  let isGone = false
  const ended = gone.then((how) => {
    isGone = true
    return why ?? how
  })
  const end = (reason: string): void => {
    why ??= reason
    kill()
  }
  stdin.on('error', () => undefined)
  readLines(
    stdout,
    { line: lineLength, ...(options.total === undefined ? {} : { total: options.total }) },
    {
      take(line) {
        const said = parseJson(line)
        if (isSaid(said)) take(said)
        else end(isRefusal(said) ? said.refused : 'it said something that is not of the protocol')
      },
      broken: end,
    },
  )
  const send = (order: Order): void => {
    if (!isGone && stdin.writable) stdin.write(`${JSON.stringify(order)}\n`)
  }
  send({ say: 'load', manifest: source.manifest, module: bytes.toString('utf8') })
  return {
    send,
    ended,
    listen(handler) {
      take = handler
    },
    close(reason) {
      why ??= reason
      if (isGone) return
      stdin.end()
      const timer = setTimeout(kill, graceMs)
      void ended.then(() => clearTimeout(timer))
    },
  }
}

/** What of a manifest counts: nobody vouches for the wishes of an executor that nobody signed. */
export function grantedManifest(manifest: Manifest, bundle: string | undefined): Manifest {
  return bundle === undefined ? { ...manifest, privileges: [], network: false } : manifest
}

/** The root helper's answer where it starts nothing. */
function isRefusal(value: unknown): value is { readonly refused: string } {
  return (
    typeof value === 'object' && value !== null && 'refused' in value && typeof value.refused === 'string'
  )
}

function isSaid(value: unknown): value is Said {
  return typeof value === 'object' && value !== null && 'say' in value && typeof value.say === 'string'
}
