// `npm start`: the server on embedded SQLite, and an agent for this very machine. Everything is kept in DATA_DIR (default ./data).
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { prepare, root, say } from './setup.mjs'

const stopping = new AbortController()
const children = new Set()

await prepare()
const dataDir = resolve(process.env.DATA_DIR ?? join(root, 'data'))
const agentRelease = await releaseAgent()
say('Starting the server …')
const server = startServer()
const { url } = await server.ready
const agentDir = join(dataDir, 'local-agent')
mkdirSync(agentDir, { recursive: true, mode: 0o700 })
const agentId =
  hostname()
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64) || 'local'
const token = await server.invite(agentId)
say(`Starting the agent of this machine ("${agentId}") …`)
startAgent(token)

for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => {
    stopping.abort()
    for (const child of children) child.kill('SIGTERM')
  })

/** What "Add an agent" hands out: this checkout's agent, signed with a key of its own. Without it everything else works. */
async function releaseAgent() {
  if (process.env.AGENT_RELEASE_DIR) return {}
  try {
    const { writeAgentRelease } = await import('../release/agent-release.mjs')
    const { packNode } = await import('../release/pack-node.mjs')
    const { localKey } = await import('../release/signing-key.mjs')
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const nodes = await packNode(process.execPath).then(
      () => ({ [process.arch]: process.execPath }),
      () => ({}),
    )
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    const folder = join(dataDir, 'agent-release')
    const key = localKey(join(dataDir, 'release.key'))
    await writeAgentRelease(folder, { version, counter: Math.floor(Date.now() / 1000), key, nodes })
    return { AGENT_RELEASE_DIR: folder }
  } catch (error) {
    console.warn(`Machines cannot be installed from here: ${error.message}`)
    return {}
  }
}

function startServer() {
  const child = spawn(process.execPath, [join(root, 'core/dist/main.js')], {
    cwd: root,
    env: {
      ...process.env,
      DATA_DIR: dataDir,
      ...agentRelease,
    },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  children.add(child)
  child.on('exit', (code) => {
    stopping.abort()
    for (const other of children) if (other !== child) other.kill('SIGTERM')
    process.exitCode = code ?? 1
  })
  const answer = (type) =>
    new Promise((done) => {
      const listen = (message) => {
        if (message?.type !== type) return
        child.off('message', listen)
        done(message)
      }
      child.on('message', listen)
    })
  return {
    ready: answer('ready'),
    async invite(id) {
      const invited = answer('invited')
      child.send({ type: 'invite', agentId: id })
      return (await invited).token
    },
  }
}

/** The agent reads its secret from the environment once; afterwards its identity is in DATA_DIR/local-agent. */
function startAgent(psk, delayMs = 1000) {
  const config = join(agentDir, 'config.yaml')
  writeFileSync(
    config,
    [
      '# Written by npm start on every start; edit /etc/orchestrator-agent/config.yaml for installed agents instead.',
      'agent:',
      `  id: ${JSON.stringify(agentId)}`,
      `  server_url: ${JSON.stringify(url)}`,
      `  state_dir: ${JSON.stringify(agentDir)}`,
      `  executors: ${JSON.stringify([join(root, 'agent-plugins'), join(dataDir, 'plugins')])}`,
      '',
    ].join('\n'),
    { mode: 0o600 },
  )
  const trust = join(agentDir, 'trust.yaml')
  if (!existsSync(trust))
    writeFileSync(
      trust,
      [
        '# Written once by npm start: on this machine, executors in the folder plugins may run though nobody signed them.',
        '# Installed agents have no such file, and then run none. See docs/guide/agent.md.',
        'unsigned: allow',
        '',
      ].join('\n'),
      { mode: 0o600 },
    )
  const { SERVER_PSK, UI_PASSWORD, UI_PASSWORD_HASH, JWT_SECRET, ...environment } = process.env
  const child = spawn(process.execPath, [join(root, 'agent/dist/main.js')], {
    cwd: root,
    env: { ...environment, AGENT_CONFIG: config, ...(psk ? { AGENT_PSK: psk } : {}), NO_PROMPT: '1' },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  children.add(child)
  const began = Date.now()
  child.on('exit', (code) => {
    children.delete(child)
    if (stopping.signal.aborted) return
    const next = Date.now() - began > 60_000 ? 1000 : Math.min(delayMs * 2, 60_000)
    console.error(`The agent of this machine ended (${code}); it is started again in ${next / 1000} s.`)
    setTimeout(() => stopping.signal.aborted || startAgent(psk, next), next)
  })
}
