import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { repository } from '../repository.ts'

export type ProxyKind = 'nginx' | 'caddy'

export interface ProxyOptions {
  readonly kind: ProxyKind
  /** File in deploy/proxy. */
  readonly example: string
  readonly port: number
  readonly serverPort: number
  readonly certFile: string
  readonly keyFile: string
  /** Empty folder of its own. */
  readonly dir: string
  /** As a proxy that knows no WebSockets does. */
  readonly refusesUpgrades?: boolean
}

/** Whether the real program is installed. */
export function isInstalled(kind: ProxyKind): boolean {
  return spawnSync(kind, [kind === 'nginx' ? '-v' : 'version']).error === undefined
}

/** The example of deploy/proxy as it stands, but for names, ports and certificate; resolves when it takes connections. */
export async function startProxy(options: ProxyOptions): Promise<{ stop(): Promise<void> }> {
  const { kind, port, dir } = options
  mkdirSync(dir, { recursive: true })
  const [program, args] = kind === 'nginx' ? nginx(options) : caddy(options)
  const env = { PATH: process.env.PATH ?? '', HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir }
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (printed += data))
  try {
    await accepts(port, child)
  } catch (error) {
    throw new Error(`${kind} did not start:\n${printed}`, { cause: error })
  }
  return {
    async stop() {
      if (child.exitCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  return port
}

function nginx(options: ProxyOptions): [string, string[]] {
  const { dir, port, serverPort, certFile, keyFile, refusesUpgrades } = options
  let site = example(options)
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace('fleet.example.com;', 'localhost;')
    .replace(/ssl_certificate .*;/, `ssl_certificate ${certFile};`)
    .replace(/ssl_certificate_key .*;/, `ssl_certificate_key ${keyFile};`)
    .replace('127.0.0.1:8000', `127.0.0.1:${serverPort}`)
  if (refusesUpgrades)
    site = site.replace(/(location \S+ \{)/, "$1\n    if ($http_upgrade != '') { return 403; }")
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${join(dir, name)};`)
    .join('\n')
  const config = join(dir, 'nginx.conf')
  const http = `access_log off;\n${temporary}\n${site}`
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  writeFileSync(
    config,
    `daemon off;\n${user}\npid ${dir}/pid;\nerror_log stderr;\nevents {}\nhttp {\n${http}\n}\n`,
  )
  execFileSync('nginx', ['-t', '-q', '-c', config, '-e', 'stderr'])
  return ['nginx', ['-c', config, '-e', 'stderr']]
}

function caddy(options: ProxyOptions): [string, string[]] {
  const { dir, port, serverPort, certFile, keyFile, refusesUpgrades } = options
  const refusal = refusesUpgrades ? '\t@upgrade header Upgrade *\n\trespond @upgrade 403\n' : ''
  const site = example(options)
    .replace(
      /^fleet\.example\.com \{$/m,
      `https://localhost:${port} {\n\ttls ${certFile} ${keyFile}\n${refusal}`,
    )
    .replace('127.0.0.1:8000', `127.0.0.1:${serverPort}`)
  const config = join(dir, 'Caddyfile')
  writeFileSync(
    config,
    `{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n}\n${site}`,
  )
  return ['caddy', ['run', '--adapter', 'caddyfile', '--config', config]]
}

function example({ example: name }: ProxyOptions): string {
  return readFileSync(join(repository, 'deploy/proxy', name), 'utf8')
}

async function accepts(port: number, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + 15_000
  for (;;) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    const socket = connect(port, '127.0.0.1')
    const isOpen = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false)
    socket.destroy()
    if (isOpen) return
    if (Date.now() > deadline) throw new Error('it takes no connections')
  }
}
