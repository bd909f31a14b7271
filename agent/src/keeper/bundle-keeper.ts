#!/usr/bin/env node
import { join, resolve } from 'node:path'
import { argv, env, exit, getuid, stdin, stdout, umask } from 'node:process'
import { createInterface } from 'node:readline'
import { createKeeper } from './keep.ts'
import { KeeperRefusal, readKept } from './kept-bundle.ts'
import { readTrust, TrustProblem } from './trust-file.ts'

/**
 * The one program that lets executors from the server onto this machine. It reads one JSON line: `{ verb: store | verify | list | sweep | trust | manifest }`,
 * and answers one. As root, started by the root helper, it trusts `/etc/orchestrator-agent` alone; an agent without root
 * starts it as itself: `bundle-keeper SETTINGS STATE STORE`.
 */

const installed = ['/etc/orchestrator-agent', '/var/lib/orchestrator-agent', '/var/lib/orchestrator-helper']
const requestLength = 1024 * 1024
const mostHashes = 1024

// sudo passes no arguments on, so that nobody else's folders are ever looked at as root.
const given = env.SUDO_UID === undefined ? argv.slice(2) : []
const [settings = '', state = '', store = ''] = (given.length === 3 ? given : installed).map((path) =>
  resolve(path),
)
const uid = getuid?.() ?? 0
const owners = settings.startsWith('/etc/') ? [0] : [0, uid]
const places = { settings, owners, store, now: Date.now }
umask(0o022)

createInterface({ input: stdin }).once('line', (line) => {
  handle(line).then(answer, (error: unknown) => {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''
    answer({
      failed: `the bundle keeper cannot do that: ${error instanceof Error ? error.message : ''}${code}`,
    })
  })
})

async function handle(line: string): Promise<object> {
  const request: unknown = line.length < requestLength ? JSON.parse(line) : undefined
  if (typeof request !== 'object' || request === null || !('verb' in request))
    throw new Error('it is no request')
  const keeper = createKeeper(places, join(state, 'incoming'))
  if (request.verb === 'trust') return trust()
  if (request.verb === 'list') return { bundles: await keeper.list() }
  if (request.verb === 'store' && 'sha256' in request && typeof request.sha256 === 'string')
    return { bundles: [await keeper.store(request.sha256)] }
  if (request.verb === 'manifest' && 'bundle' in request) return manifest(String(request.bundle))
  if (!('bundles' in request) || !isHashList(request.bundles)) throw new Error('the verb is unknown')
  if (request.verb === 'verify') return { bundles: await keeper.verify(request.bundles) }
  if (request.verb !== 'sweep') throw new Error('the verb is unknown')
  await keeper.sweep(request.bundles)
  return { bundles: [] }
}

/** For the root helper: what a kept bundle declares, after all of it was checked again. */
async function manifest(bundle: string): Promise<object> {
  try {
    return { manifest: (await readKept(places, bundle, 'finish')).statement.manifest }
  } catch (error) {
    if (!(error instanceof KeeperRefusal)) throw error
    return { refused: error.message }
  }
}

/** Whether executors that nobody signed may run; a trust file that is not understood lets none in. */
async function trust(): Promise<object> {
  try {
    return { unsigned: (await readTrust(settings, owners)).unsigned }
  } catch (error) {
    if (!(error instanceof TrustProblem)) throw error
    return { unsigned: 'refuse', problem: error.message }
  }
}

function answer(value: object): void {
  stdout.write(`${JSON.stringify(value)}\n`, () => exit(0))
}

function isHashList(value: unknown): value is string[] {
  return Array.isArray(value) && value.length <= mostHashes && value.every((one) => typeof one === 'string')
}
