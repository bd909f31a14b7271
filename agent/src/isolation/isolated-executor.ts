import type { AnyContract, CommandDefinition, Executor, ExecutorContext } from '@fleetupdate/sdk'
import { contractHash } from '@fleetupdate/sdk/protocol'
import { agentError } from '../errors.ts'
import {
  type IsolatedProcess,
  type IsolatedSource,
  type StartIsolated,
  startIsolated,
} from './isolated-process.ts'
import type { Said } from './messages.ts'
import { plainSchema } from './plain-schema.ts'
import { answerQuestion } from './questions.ts'

/** A third-party executor as the agent sees it: its facts are observed by a process of its own, its commands run elsewhere. */
export interface IsolatedExecutor {
  readonly executor: Executor
  /** Of the contract as the executor has it. */
  readonly contractHash: string
}

const describeMs = 10_000
const describeChars = 1024 * 1024
const contractChars = 256 * 1024
const mostNames = 128
const factsSeconds = 120
const factsChars = 4 * 1024 * 1024
/** How long a process that has observed a fact waits for the next one of the same round. */
const lingerMs = 250

/**
 * Starts the executor once to learn its contract, and gives an {@link Executor} whose fact collectors start it again when they are called.
 * Throws FLT_EXECUTOR_ISOLATED where it does not come up, does not end, or says what does not fit.
 */
export async function loadIsolated(start: StartIsolated, source: IsolatedSource): Promise<IsolatedExecutor> {
  const said = await describe(start, source)
  const { contract, everySeconds } = said
  const problem = contractProblem(contract, source.id)
  if (problem !== undefined || !isRecord(contract)) throw failed(source, problem ?? 'it has no contract')
  const facts = isRecord(contract.facts) ? Object.keys(contract.facts) : []
  const commands = isRecord(contract.commands) ? contract.commands : {}
  const observe = createObserver(start, source)
  const executor: Executor = {
    contract: seenContract(source.id, facts, commands),
    facts: Object.fromEntries(
      facts.map((name) => [name, sourceOf(everySeconds, name, (context) => observe(name, context))]),
    ),
    commands: {},
  }
  return { executor, contractHash: contractHash(contract as unknown as AnyContract) }
}

async function describe(start: StartIsolated, source: IsolatedSource): Promise<Said> {
  const process = await startIsolated(start, source, { seconds: describeMs / 1000, total: describeChars })
  try {
    process.send({ say: 'describe' })
    return await answerOf(process, source, describeMs, (said) => said.say === 'described')
  } finally {
    process.close()
  }
}

/**
 * One process for all facts of a round: it ends a moment after the last one. What it does not answer in time is ended by the context's signal,
 * with everything it has started.
 */
function createObserver(
  start: StartIsolated,
  source: IsolatedSource,
): (name: string, context: ExecutorContext) => Promise<unknown> {
  let open: Promise<IsolatedProcess> | undefined
  let linger: NodeJS.Timeout | undefined

  return async (name, context) => {
    clearTimeout(linger)
    open ??= startIsolated(start, source, { seconds: factsSeconds, total: factsChars })
    const opened = open
    const forget = (): void => {
      if (open === opened) open = undefined
    }
    let process: IsolatedProcess
    try {
      process = await opened
    } catch (error) {
      forget()
      throw error
    }
    void process.ended.then(forget)
    const aborted = (): void => {
      forget()
      process.close('it took too long')
    }
    context.signal.addEventListener('abort', aborted, { once: true })
    let said: Said
    try {
      process.send({ say: 'fact', name })
      said = await answerOf(
        process,
        source,
        undefined,
        (one) => one.say === 'fact' && one.name === name,
        context,
      )
    } catch (error) {
      // It is ending or out of step: the next fact gets another.
      forget()
      process.close()
      throw error
    } finally {
      context.signal.removeEventListener('abort', aborted)
    }
    linger = setTimeout(() => {
      forget()
      process.close()
    }, lingerMs)
    if (isRecord(said.error)) throw failed(source, String(said.error.message))
    return said.value
  }
}

/** The first line that fits; questions meanwhile are answered where there is a context, as far as the host grants them. */
function answerOf(
  process: IsolatedProcess,
  source: IsolatedSource,
  timeoutMs: number | undefined,
  fits: (said: Said) => boolean,
  context?: ExecutorContext,
): Promise<Said> {
  return new Promise((resolve, reject) => {
    const timer =
      timeoutMs === undefined ? undefined : setTimeout(() => over('it does not answer'), timeoutMs)
    const over = (problem: string): void => {
      clearTimeout(timer)
      reject(failed(source, problem))
    }
    void process.ended.then(over)
    process.listen((said) => {
      if (fits(said)) {
        clearTimeout(timer)
        return resolve(said)
      }
      if (said.say === 'failed') over(isRecord(said.error) ? String(said.error.message) : 'it failed')
      else if (said.say === 'ask' && context) answerQuestion(said, { process, source, context })
      else if (said.say === 'log')
        context?.log.debug(`Executor ${source.id}: ${String(said.message).slice(0, 1000)}`)
    })
  })
}

/**
 * What the agent decides with. Schemas stay in the executor's own process, which checks its input and its facts itself: a pattern in a stranger's schema may
 * keep whoever applies it busy for ever.
 */
function seenContract(
  id: string,
  facts: readonly string[],
  commands: Readonly<Record<string, unknown>>,
): AnyContract {
  const definitions = Object.entries(commands).map(([name, value]) => {
    const { lane, effect, cancel, endless } = isRecord(value) ? value : {}
    const definition = {
      input: {},
      ...(typeof lane === 'string' ? { lane: lane.slice(0, 64) } : {}),
      ...(endless === true ? { endless } : {}),
      ...(cancel === 'safe-point' ? { cancel } : {}),
      ...effectOf(effect),
    }
    return [name, definition as CommandDefinition]
  })
  return {
    id,
    facets: {},
    facts: Object.fromEntries(facts.map((name) => [name, {}])),
    commands: Object.fromEntries(definitions),
  }
}

/** What is not understood without applying a pattern counts as a change. */
function effectOf(effect: unknown): object {
  if (effect === 'observe' || effect === 'security' || effect === 'change') return { effect }
  if (!isRecord(effect) || !plainSchema(effect.securityWhen)) return {}
  return { effect: { securityWhen: effect.securityWhen } }
}

function contractProblem(contract: unknown, id: string): string | undefined {
  if (!isRecord(contract) || contract.id !== id) return `its contract is not for "${id}"`
  if (JSON.stringify(contract).length > contractChars) return 'its contract is too large'
  for (const members of [contract.facts, contract.commands]) {
    if (members === undefined) continue
    if (!isRecord(members) || Object.keys(members).length > mostNames)
      return 'its contract has too much in it'
    if (!Object.keys(members).every((name) => /^[a-zA-Z][A-Za-z0-9_-]{0,63}$/.test(name)))
      return 'its contract has malformed names'
  }
  return undefined
}

function sourceOf(
  everySeconds: unknown,
  name: string,
  collect: (context: ExecutorContext) => Promise<unknown>,
): Executor['facts'][string] {
  const seconds = isRecord(everySeconds) ? everySeconds[name] : undefined
  return typeof seconds === 'number' && seconds >= 1 ? { everySeconds: seconds, collect } : collect
}

function failed({ id }: IsolatedSource, problem: string): Error {
  return agentError('FLT_EXECUTOR_ISOLATED', { id, problem: problem.slice(0, 1000).replace(/\.$/, '') })
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
