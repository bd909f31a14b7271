// What `npm start` and `npm test` need before they can run: the right Node, the dependencies, everything built.
// Uses nothing but Node itself, because on a fresh machine nothing else is there yet.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const stamp = join(root, 'node_modules', '.installed-lock')

/** Runs a program with its output shown; rejects where it fails. */
export function run(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: 'inherit', ...options })
    child.on('error', reject)
    child.on('exit', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`${program} ${args.join(' ')} ended with ${signal ?? code}`)),
    )
  })
}

/** Brings the checkout into a state from which everything can run; does only what is missing. */
export async function prepare() {
  requireNode()
  if (!installed()) {
    say('Installing dependencies (the first time takes one to three minutes) …')
    await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
    writeFileSync(stamp, lockHash())
  }
  say('Building what is stale …')
  await run(
    join(root, 'node_modules', '.bin', 'turbo'),
    ['run', 'build', '--output-logs=errors-only', '--no-update-notifier'],
    {
      env: toolEnvironment(),
    },
  )
}

export function toolEnvironment() {
  return {
    ...process.env,
    TURBO_TELEMETRY_DISABLED: '1',
    DO_NOT_TRACK: '1',
    FORCE_COLOR: process.stdout.isTTY ? '1' : '0',
  }
}

export function say(text) {
  console.log(`\n▸ ${text}`)
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  console.error(
    `FleetUpdate needs Node 20.19 or newer; this is ${process.versions.node}. Install a newer Node, then try again.`,
  )
  process.exit(1)
}

function installed() {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === lockHash()
}

function lockHash() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(process.versions.modules)
    .digest('hex')
}
