import { connect } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { createCheck, parseJson } from '../check.ts'
import { errorCode } from '../errors.ts'
import { findProgram, startProcess } from '../run.ts'
import { HelperAnswer } from '../schemas.ts'
import { sudoersLine } from './sudoers.ts'

/** One request to the root helper: its answers as they come, and orders for the program that it started. */
export interface HelperLine {
  /** The next answer; undefined once the helper is gone. */
  next(): Promise<HelperAnswer | undefined>
  order(order: 'term' | 'kill'): void
  close(): void
  /** The exact step that is missing where the helper never answered. */
  missing(): string
}

/** Where systemd listens for the root helper. */
export const helperSocket = '/run/orchestrator-helper/helper.sock'

const answerCheck = createCheck(HelperAnswer)
const answerLength = 4 * 1024 * 1024

/** Asks through the socket on which systemd starts the helper. */
export function askOverSocket(request: object): HelperLine {
  const socket = connect(helperSocket)
  let problem = ''
  socket.on('error', (error) => {
    problem = errorCode(error)
  })
  const missing = (): string => {
    if (problem === 'EACCES')
      return `The agent must run as a user of the group that ${helperSocket} belongs to: systemctl restart orchestrator-agent after adding it.`
    if (problem === 'ENOENT' || problem === 'ECONNREFUSED')
      return 'Run: systemctl enable --now orchestrator-helper.socket'
    return 'The root helper gave no answer; see why with: journalctl -u "orchestrator-helper@*"'
  }
  return speak(socket, socket, request, { missing, close: () => socket.destroy() })
}

/** Asks a helper that `sudo -n` starts, without arguments. */
export function askThroughSudo(helper: string, request: object): HelperLine {
  const program = findProgram('sudo')
  if (program === undefined)
    return absent(`Install sudo, and add this line with visudo: ${sudoersLine(helper)}`)
  const child = startProcess({ program, args: ['-n', helper], stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  child.stderr?.on('data', (text) => {
    said = `${said}${text}`.slice(-2000)
  })
  child.on('error', () => child.stdout?.destroy())
  const missing = (): string =>
    said.includes('no new privileges')
      ? 'sudo cannot work under NoNewPrivileges. Run: systemctl enable --now orchestrator-helper.socket'
      : `Add this line with visudo: ${sudoersLine(helper)}`
  if (!child.stdin || !child.stdout) return absent(missing())
  return speak(child.stdout, child.stdin, request, { missing, close: () => child.stdin?.destroy() })
}

function speak(
  input: Readable,
  output: Writable,
  request: object,
  { missing, close }: Pick<HelperLine, 'missing' | 'close'>,
): HelperLine {
  const answers: HelperAnswer[] = []
  let received = ''
  let isOver = false
  let wake = (): void => undefined
  input.setEncoding('utf8').on('data', (text: string) => {
    const lines = (received + text).split('\n')
    received = (lines.pop() ?? '').slice(0, answerLength)
    const known = lines.map(parseJson).filter((one) => answerCheck.accepts(one))
    answers.push(...known)
    wake()
  })
  input.on('close', () => {
    isOver = true
    wake()
  })
  // Whoever is gone is noticed by the end of its answers.
  output.on('error', () => undefined)
  output.write(`${JSON.stringify(request)}\n`)
  return {
    missing,
    close,
    order: (order) => void output.write(`${order}\n`),
    async next() {
      while (answers.length === 0 && !isOver)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      return answers.shift()
    },
  }
}

function absent(step: string): HelperLine {
  return { next: async () => undefined, order: () => undefined, close: () => undefined, missing: () => step }
}
