import type { CommandContext } from '@fleetupdate/sdk'
import { FleetError } from '@fleetupdate/sdk'
import { agentError, describeError } from '../errors.ts'
import { type IsolatedSource, type StartIsolated, startIsolated } from './isolated-process.ts'
import type { Said } from './messages.ts'
import { answerQuestion } from './questions.ts'

export interface IsolatedCommand {
  readonly source: IsolatedSource
  readonly command: string
  /** After which whoever started it as a unit ends it for sure. */
  readonly seconds: number
}

const checkMs = 200
/** Less than a runner waits for a command that was told to stop. */
const graceMs = 10_000
const messageLength = 2000
/** Errors that say "I was told to stop"; any other code of a stranger is its own affair. */
const stopCodes = ['FLT_ATTEMPT_STOPPED', 'FLT_RUN_ABORTED']

/**
 * A command function that lets the executor's own process do the work: what it writes, reports and asks goes through the context of this runner,
 * and so do its end and its wish to become root.
 */
export function isolatedCommand(
  start: StartIsolated,
  { source, command, seconds }: IsolatedCommand,
): (input: unknown, context: CommandContext) => Promise<unknown> {
  return async (input, context) => {
    const process = await startIsolated(start, source, { seconds })
    let grace: NodeJS.Timeout | undefined
    const stop = (): void => {
      process.send({ say: 'stop', reason: describeError(context.signal.reason) })
      grace = setTimeout(() => process.close('it did not stop'), graceMs)
    }
    // A wish to stop at the next safe point is no signal: it is looked for.
    const look = setInterval(() => {
      try {
        context.checkpoint()
      } catch (error) {
        clearInterval(look)
        process.send({ say: 'checkpoint', reason: error instanceof Error ? error.message : 'stopped' })
      }
    }, checkMs)
    context.signal.addEventListener('abort', stop, { once: true })
    try {
      const { commandId, precondition } = context
      const ended = new Promise<Said>((resolve, reject) => {
        process.listen((said) => {
          if (said.say === 'result') return resolve(said)
          if (said.say === 'failed') return reject(errorOf(said.error))
          if (said.say === 'ask') return answerQuestion(said, { process, source, context })
          tell(said, context)
        })
        void process.ended.then((problem) =>
          reject(
            context.signal.aborted
              ? context.signal.reason
              : agentError('FLT_EXECUTOR_ISOLATED', { id: source.id, problem }),
          ),
        )
      })
      process.send({
        say: 'command',
        command,
        input,
        commandId,
        ...(precondition === undefined ? {} : { precondition }),
      })
      if (context.signal.aborted) stop()
      const said = await ended
      if (said.error !== undefined) throw errorOf(said.error)
      return said.value
    } finally {
      clearInterval(look)
      clearTimeout(grace)
      context.signal.removeEventListener('abort', stop)
      process.close()
    }
  }
}

function tell(said: Said, context: CommandContext): void {
  if (said.say === 'write' && typeof said.text === 'string') context.write(said.text)
  if (said.say === 'progress') {
    const { percent, message } = said
    context.progress({
      ...(typeof percent === 'number' ? { percent } : {}),
      ...(typeof message === 'string' ? { message } : {}),
    })
  }
  if (said.say === 'log') context.log.info(String(said.message).slice(0, messageLength))
}

function errorOf(told: unknown): Error {
  const { message, code, details } =
    typeof told === 'object' && told !== null ? (told as Record<string, unknown>) : {}
  const known = typeof code === 'string' && stopCodes.includes(code) ? code : 'FLT_COMMAND_FAILED'
  const { exitCode } =
    typeof details === 'object' && details !== null ? (details as Record<string, unknown>) : {}
  const text = (typeof message === 'string' ? message : 'it failed').slice(0, 4000)
  return new FleetError(known, 500, text, typeof exitCode === 'number' ? { exitCode } : undefined)
}
