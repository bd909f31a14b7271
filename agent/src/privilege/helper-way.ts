import { setTimeout as wait } from 'node:timers/promises'
import { agentError } from '../errors.ts'
import { isRunning, recordOf } from '../process-record.ts'
import type { Program } from '../run.ts'
import type { HelperAnswer, ProcessRecord } from '../schemas.ts'
import { askOverSocket, askThroughSudo, type HelperLine } from './helper-line.ts'
import { openHelper } from './helper-pipe.ts'
import type { PrivilegedWay, WayOptions } from './privilege.ts'

const probeMs = 20_000
const startMs = 30_000
const lookMs = 500

/** The ways of an agent that is not root: the root helper behind a socket of systemd, or behind sudo. Both speak the same. */
export function createHelperWay(kind: 'socket' | 'sudo', { helper, systemd }: WayOptions): PrivilegedWay {
  const ask = (request: object): HelperLine =>
    kind === 'socket' ? askOverSocket(request) : askThroughSudo(helper, request)
  return {
    kind,
    open: (request) => openHelper(kind, helper, request),
    async run({ plugin, privilege, args, files, bundle }) {
      const { program } = privilege
      const line = ask({ verb: 'run', plugin, bundle, privilege: privilege.id, args, ...files })
      const first = await line.next()
      if (!first) throw agentError('FLT_PRIVILEGE_MISSING', { program, missing: line.missing() })
      throwRefusal(first, program)
      return startedProgram(line, first.pid, program)
    },
    startUnit: systemd
      ? async ({ commandId, epoch }) => {
          const answer = await once(ask({ verb: 'start', commandId, epoch }), startMs)
          const { exitCode = -1, said, refused } = typeof answer === 'string' ? { refused: answer } : answer
          return { exitCode, said: said ?? refused ?? '' }
        }
      : undefined,
    async probe(privileges) {
      if (privileges.length === 0) return []
      const asked = privileges.map(({ plugin, privilege, bundle }) => ({
        ...{ plugin, bundle, privilege: privilege.id },
      }))
      const answer = await once(ask({ verb: 'probe', privileges: asked }), probeMs)
      const { privileges: states = [], refused } = typeof answer === 'string' ? { refused: answer } : answer
      return privileges.map(({ plugin, privilege }, index) => {
        const state = states[index] ?? { ok: false, missing: refused }
        const { ok, missing = 'The root helper did not say why.' } = state
        return { id: privilege.id, plugin, ok, ...(ok ? {} : { missing }) }
      })
    },
  }
}

/** The one answer to a request, or why there is none. */
async function once(line: HelperLine, patienceMs: number): Promise<HelperAnswer | string> {
  const late = new AbortController()
  const timeout = wait(patienceMs, undefined, { signal: late.signal }).then(
    () => `The root helper did not answer within ${patienceMs / 1000} s.`,
    () => '',
  )
  try {
    return (await Promise.race([line.next(), timeout])) ?? line.missing()
  } finally {
    late.abort()
    line.close()
  }
}

function startedProgram(line: HelperLine, pid: number | undefined, program: string): Program {
  // Noted at once: later its number may be another's.
  const record = pid === undefined ? undefined : recordOf(pid)
  const ended = waitForEnd(line, record, program)
  ended.catch(() => undefined)
  return { pid, ended, end: (kind) => line.order(kind === 'SIGTERM' ? 'term' : 'kill') }
}

async function waitForEnd(line: HelperLine, record: ProcessRecord | undefined, program: string) {
  const last = await line.next()
  line.close()
  if (last) throwRefusal(last, program)
  if (last?.exitCode !== undefined) return [last.exitCode, last.signal ?? null] as const
  // The helper was killed, its program was not: only when that has ended may anything else begin.
  while (record && isRunning(record)) await wait(lookMs)
  throw agentError('FLT_PRIVILEGE_LOST', { program })
}

function throwRefusal({ refused, policy }: HelperAnswer, program: string): void {
  if (refused === undefined) return
  if (policy) throw agentError('FLT_PRIVILEGE_POLICY', { rule: refused })
  throw agentError('FLT_PRIVILEGE_REFUSED', { program, reason: refused })
}
