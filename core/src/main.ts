import { spawn } from 'node:child_process'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { FleetError } from '@fleetupdate/sdk'
import { createServiceNotice } from '@fleetupdate/sdk/service'
import { buildApp } from './app.ts'
import { withBuiltIns } from './built-ins.ts'
import { runCli } from './cli/run-cli.ts'
import type { ServerConfig } from './config.ts'
import { createLog } from './log.ts'

const log = createLog((line) => process.stderr.write(line), process.env.VERBOSE === '1' ? 'debug' : 'info')

process.on('unhandledRejection', (reason) =>
  log.error('An error nobody waited for', { reason: String(reason) }),
)

const programDir = dirname(fileURLToPath(import.meta.url))
const installed = { envFile: '/opt/orchestrator/.env', dataDir: '/var/lib/orchestrator-server' }
const exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  programDir,
  pid: process.pid,
  ...(programDir.startsWith('/opt/orchestrator/') ? { installed } : {}),
  nodeVersion: process.versions.node,
  user: callerOf(userInfo(), process.env.SUDO_USER),
  get uid() {
    return process.getuid?.() ?? 0
  },
  log,
  print: (line) => console.log(line),
  note: (line) => console.error(line),
  confirm,
  askSecret,
  become,
  serve,
})
if (exitCode !== 0) process.exit(exitCode)

async function serve(given: ServerConfig): Promise<void> {
  const config = withBuiltIns(given, programDir)
  for (const notice of config.notices) log.warn(notice)
  const app = await buildApp(config, { log, onFatal: stopNow })
  const { port, urls } = await app.listen()
  for (const line of welcome(urls, config.uiUser, app.firstPassword)) console.log(line)
  const notice = createServiceNotice(process.env, (program, args, env) => {
    spawn(program, args, { env: { ...env }, cwd: '/', stdio: 'ignore' }).on('error', () => undefined)
  })
  const ended = new AbortController()
  notice.ready(`Serves at ${urls.join(' ')}`)
  notice.watch(app.isAlive, ended.signal)
  process.send?.({ type: 'ready', url: `${config.tls ? 'https' : 'http'}://127.0.0.1:${port}` })
  process.on('message', (message) => {
    if (isInvite(message))
      void app.invite(message.agentId).then((token) => process.send?.({ type: 'invited', token }))
  })
  process.on('SIGHUP', () => void app.reloadCertificate())
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      log.info(`Stopping (${signal}).`)
      ended.abort()
      notice.stopping()
      app.dispose().then(
        () => process.exit(0),
        (error: unknown) => stopNow(error),
      )
    })
}

/** The disk or a worker failed, or the start did: say why in one line, and end so that no wrong answer is given. */
function stopNow(error: unknown): never {
  if (error instanceof FleetError) console.error(`${error.code}: ${error.message}`)
  else console.error('FLT_START_FAILED:', error)
  process.exit(1)
}

function welcome(
  urls: readonly string[],
  user: string,
  firstPassword: string | undefined,
): readonly string[] {
  const lines = ['', `  FleetUpdate is ready: ${urls.join('  ')}`]
  if (firstPassword !== undefined)
    lines.push(
      `  Log in as "${user}" with the password  ${firstPassword}`,
      '  (shown this once; change it in Settings)',
    )
  return [...lines, '']
}

function callerOf({ username }: { readonly username: string }, sudoUser: string | undefined): string {
  return sudoUser === undefined || sudoUser === username ? username : `${sudoUser} as ${username}`
}

function become(uid: number, gid: number): void {
  process.setgroups?.([gid])
  process.setgid?.(gid)
  process.setuid?.(uid)
}

async function askSecret(question: string): Promise<string | undefined> {
  const { stdin, stderr } = process
  // What is typed is echoed into nothing.
  const output = stdin.isTTY ? new Writable({ write: (_part, _encoding, done) => done() }) : undefined
  const lines = createInterface({ input: stdin, output, terminal: stdin.isTTY })
  if (stdin.isTTY) stderr.write(question)
  try {
    for await (const line of lines) return line
    return undefined
  } finally {
    lines.close()
    if (stdin.isTTY) stderr.write('\n')
  }
}

async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim())
  } finally {
    terminal.close()
  }
}

function isInvite(message: unknown): message is { type: 'invite'; agentId: string } {
  if (typeof message !== 'object' || message === null || !('type' in message)) return false
  return message.type === 'invite' && 'agentId' in message && typeof message.agentId === 'string'
}
