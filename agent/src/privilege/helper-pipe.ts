import { connect } from 'node:net'
import { childStarted, type Started } from '../isolation/started.ts'
import { findProgram, startProcess } from '../run.ts'
import { helperSocket } from './helper-line.ts'
import { sudoersLine } from './sudoers.ts'

/**
 * A request to the root helper that stays open: what is written goes to the program it started, what comes are that program's lines, or one
 * `{ refused }` of the helper. The end of what is written ends the program.
 */
export function openHelper(kind: 'socket' | 'sudo', helper: string, request: object): Started {
  const started = kind === 'socket' ? overSocket() : throughSudo(helper)
  started.stdin.on('error', () => undefined)
  started.stdin.write(`${JSON.stringify(request)}\n`)
  return started
}

function overSocket(): Started {
  const socket = connect({ path: helperSocket, allowHalfOpen: true })
  let problem = 'its process ended'
  socket.on('error', (error) => {
    problem = `the root helper cannot be reached (${error.message})`
  })
  const ended = new Promise<string>((resolve) => {
    socket.once('end', () => socket.end())
    socket.once('close', () => resolve(problem))
  })
  return { stdin: socket, stdout: socket, ended, kill: () => socket.destroy() }
}

function throughSudo(helper: string): Started {
  const program = findProgram('sudo') ?? '/usr/bin/sudo'
  const child = startProcess({ program, args: ['-n', helper], stdio: ['pipe', 'pipe', 'pipe'] })
  const started = childStarted(child)
  const ended = started.ended.then((how) =>
    how.includes('password') ? `Add this line with visudo: ${sudoersLine(helper)}` : how,
  )
  // No signal reaches a process of root; the helper notices that nobody listens any more.
  return { ...started, ended, kill: () => void child.stdin?.destroy() }
}
