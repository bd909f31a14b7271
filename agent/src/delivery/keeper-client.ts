import { dirname, join } from 'node:path'
import { createCheck, parseJson } from '../check.ts'
import { agentError } from '../errors.ts'
import { readLines } from '../isolation/line-reader.ts'
import { childStarted, type Started } from '../isolation/started.ts'
import type { PrivilegedWay } from '../privilege/privilege.ts'
import { startProcess } from '../run.ts'
import { KeeperAnswer } from '../schemas.ts'

export interface KeeperClientOptions {
  readonly way: Pick<PrivilegedWay, 'open'>
  readonly node: string
  /** The agent's main module: bundle-keeper lies beside it. */
  readonly main: string
  /** The folder of the configuration, with `trust.yaml`. */
  readonly settings: string
  readonly stateDir: string
  /** Where the keeper keeps bundles when the agent starts it as itself. */
  readonly store: string
}

/** Asks the bundle keeper: through the root helper, or where there is none, as this agent's own user. Rejects with FLT_DELIVERY_KEEPER. */
export type AskKeeper = (request: KeeperRequest) => Promise<KeeperAnswer>

export type KeeperRequest =
  | { readonly verb: 'store'; readonly sha256: string }
  | { readonly verb: 'verify' | 'sweep'; readonly bundles: readonly string[] }
  | { readonly verb: 'trust' }

const answerLength = 1024 * 1024
const patienceMs = 120_000
const answerCheck = createCheck(KeeperAnswer)

/** The keeper of one agent. */
export function createKeeperClient(options: KeeperClientOptions): AskKeeper {
  const start = (request: KeeperRequest): Started => {
    if (options.way.open) return options.way.open({ verb: 'keeper', request })
    const { node, main, settings, stateDir, store } = options
    const args = [join(dirname(main), 'bundle-keeper'), settings, stateDir, store]
    const started = childStarted(startProcess({ program: node, args, stdio: ['pipe', 'pipe', 'pipe'] }))
    started.stdin.on('error', () => undefined)
    started.stdin.write(`${JSON.stringify(request)}\n`)
    return started
  }
  return async (request) => {
    const { stdout, ended, kill } = start(request)
    const timer = setTimeout(kill, patienceMs)
    try {
      const answer = await new Promise<unknown>((resolve, reject) => {
        const broken = (problem: string): void => reject(agentError('FLT_DELIVERY_KEEPER', { problem }))
        readLines(stdout, { line: answerLength }, { take: (line) => resolve(parseJson(line)), broken })
        void ended.then(broken)
      })
      const problem = answerCheck.problem(answer)
      if (!answerCheck.accepts(answer)) throw agentError('FLT_DELIVERY_KEEPER', { problem })
      const { failed, refused } = answer
      if (failed !== undefined || refused !== undefined)
        throw agentError('FLT_DELIVERY_KEEPER', { problem: failed ?? refused })
      return answer
    } finally {
      clearTimeout(timer)
      kill()
    }
  }
}
