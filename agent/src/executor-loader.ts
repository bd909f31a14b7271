import { realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Executor, Manifest, sdkProblem } from '@fleetupdate/sdk'
import { createCheck, parseJson } from './check.ts'
import { readText } from './durable-file.ts'
import { agentError } from './errors.ts'

/** What a folder's package.json says about its executor. Nothing of the executor was run to learn it. */
export interface ExecutorPackage {
  readonly folder: string
  readonly version: string
  readonly manifest: Manifest
  /** Absolute path of its module, inside the folder. */
  readonly entry: string
}

const manifestCheck = createCheck(Manifest)

/**
 * Reads the package of an executor; undefined where the folder holds none. Throws FLT_EXECUTOR_INVALID where the manifest does not fit or its
 * `executor` leads out of the folder.
 */
export async function readExecutorPackage(folder: string, id: string): Promise<ExecutorPackage | undefined> {
  const text = await readText(join(folder, 'package.json'))
  if (text === undefined) return undefined
  const value = parseJson(text)
  if (!isRecord(value)) throw invalid(folder, 'its package.json is not a JSON object')
  const { fleetupdate, version } = value
  if (fleetupdate === undefined) return undefined
  if (!manifestCheck.accepts(fleetupdate))
    throw invalid(folder, `its manifest does not fit: ${manifestCheck.problem(fleetupdate)}`)
  if (fleetupdate.executor === undefined) return undefined
  const unfit = sdkProblem(fleetupdate.sdk, 'agent')
  if (unfit !== undefined) throw invalid(folder, unfit)
  if (fleetupdate.id !== id)
    throw invalid(folder, `its id is "${fleetupdate.id}"; name the folder like the id`)
  return {
    folder,
    version: typeof version === 'string' ? version.slice(0, 64) : '0.0.0',
    manifest: fleetupdate,
    entry: await inside(folder, fleetupdate.executor),
  }
}

/** Loads the module of an executor and checks that its default export fits its contract and manifest. Throws FLT_EXECUTOR_INVALID. */
export async function loadExecutor({ folder, manifest, entry }: ExecutorPackage): Promise<Executor> {
  const module: unknown = await import(/* @vite-ignore */ pathToFileURL(entry).href)
  return assertExecutor(module, { id: manifest.id, folder })
}

/** The executor that a module exports as default. Throws FLT_EXECUTOR_INVALID where there is none, or it does not fit its contract. */
export function assertExecutor(
  module: unknown,
  { id, folder }: { readonly id: string; readonly folder: string },
): Executor {
  const executor = isRecord(module) ? module.default : undefined
  const problem = executorProblem(executor, id)
  if (problem !== undefined) throw invalid(folder, problem)
  if (!isExecutor(executor)) throw invalid(folder, 'its module has no executor as default export')
  return executor
}

function executorProblem(executor: unknown, id: string): string | undefined {
  if (!isExecutor(executor)) return 'its module has no executor as default export'
  const { contract, facts, commands } = executor
  if (contract.id !== id) return `its contract is for "${contract.id}", its manifest for "${id}"`
  for (const name of Object.keys(contract.commands))
    if (typeof commands[name] !== 'function') return `it lacks the command "${name}" of its contract`
  for (const name of Object.keys(contract.facts)) {
    const source = facts[name]
    if (typeof source !== 'function' && typeof source?.collect !== 'function')
      return `it lacks the fact "${name}" of its contract`
  }
  return undefined
}

async function inside(folder: string, path: string): Promise<string> {
  const root = await realpath(folder)
  const entry = await realpath(join(folder, path)).catch(() => undefined)
  if (entry === undefined) throw invalid(folder, `its module ${path} does not exist; build it first`)
  if (!entry.startsWith(root + sep)) throw invalid(folder, `its module ${path} lies outside its folder`)
  return entry
}

function isExecutor(value: unknown): value is Executor {
  if (!isRecord(value)) return false
  const { contract, facts, commands } = value
  return (
    isRecord(contract) &&
    typeof contract.id === 'string' &&
    isRecord(contract.facts) &&
    isRecord(contract.commands) &&
    isRecord(facts) &&
    isRecord(commands)
  )
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(folder: string, problem: string): Error {
  return agentError('FLT_EXECUTOR_INVALID', { folder, problem })
}
