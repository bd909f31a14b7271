import type { BootedHost } from './boot-root.ts'

/** Knocks at the root helper's socket inside a host, as some user: one connection for each text, answered with all it said. */
export function askHelper(host: BootedHost, user: string, texts: readonly string[]): readonly string[] {
  const list = JSON.stringify(texts.map((text) => Buffer.from(text, 'latin1').toString('base64')))
  const command = ['runuser', '-u', user, '--', '/usr/local/bin/node', '-e', asker]
  const { stdout, stderr } = host.run(command, list)
  const last = stdout.trim().split('\n').at(-1) ?? ''
  if (!last.startsWith('[')) throw new Error(`The asker failed: ${stderr}`)
  return JSON.parse(last)
}

/** `run` of a built-in privilege, with both outputs into one file. */
export function runRequest(plugin: string, privilege: string, args: readonly string[], file: string): string {
  return `${JSON.stringify({ verb: 'run', plugin, privilege, args, out: file, err: file })}\n`
}

/** What every call of apt-get by the executor `apt-upgrade` begins with. */
export const aptOptions: readonly string[] = [
  ...['--yes', '--quiet', '--no-remove', '-o', 'DPkg::Lock::Timeout=600', '-o', 'Dpkg::Use-Pty=0'],
  ...['-o', 'Dpkg::Options::=--force-confdef', '-o', 'Dpkg::Options::=--force-confold'],
  ...['-o', 'APT::Cmd::Pattern-Only=1', '-o', 'APT::Status-Fd=3'],
]

const asker = `
const { connect } = require('node:net')
const texts = JSON.parse(require('node:fs').readFileSync(0, 'utf8')).map((text) => Buffer.from(text, 'base64'))
const ask = (text) => new Promise((resolve) => {
  let said = ''
  const socket = connect('/run/orchestrator-helper/helper.sock')
  socket.on('error', (error) => { said += error.code })
  socket.on('data', (data) => { said += data })
  socket.on('close', () => resolve(said))
  socket.write(text)
})
;(async () => {
  const answers = []
  for (const text of texts) answers.push(await ask(text))
  console.log(JSON.stringify(answers))
})()
`
