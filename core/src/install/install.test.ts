import { spawnSync } from 'node:child_process'
import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { invitationLine } from '../agents/invitation.ts'
import { registerErrorHandler } from '../http/error-handler.ts'
import { mountRoutes } from '../http/mount-routes.ts'
import { openAgentRelease } from './agent-release.ts'
import { servedInstaller } from './installer.ts'
import { installRoutes } from './routes.ts'

const { privateKey } = generateKeyPairSync('ed25519')
const hash = (bytes: string): string => createHash('sha256').update(bytes).digest('hex')
const script =
  '#!/bin/sh\nBAKED_SERVER_URL=\'\'\nBAKED_NODES=\'\'\nmain() { echo "$AGENT_ID at $BAKED_SERVER_URL"; }\nmain "$@"\n'

let folder: string
let app: FastifyInstance | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-release-'))
  write({})
})
afterEach(async () => {
  await app?.close()
  app = undefined
  rmSync(folder, { recursive: true, force: true })
})

/** Writes a sound release, with something changed in its statement. */
function write(change: object): void {
  const [archive, node] = ['the archive', 'the node']
  const statement = {
    type: 'fleetupdate-agent-release-1',
    version: '1.2.3',
    counter: 7,
    oldestNode: '20.19.0',
    archive: { name: `agent-${hash(archive)}.tar.gz`, sha256: hash(archive), bytes: archive.length },
    installer: { name: 'install-agent.sh', sha256: hash(script), bytes: script.length },
    nodes: [
      {
        arch: 'x64',
        version: '20.20.2',
        glibc: '2.28',
        name: `node-x64-${hash(node)}.gz`,
        sha256: hash(node),
        bytes: node.length,
      },
    ],
    ...change,
  }
  const bytes = Buffer.from(JSON.stringify(statement))
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).toString('base64')
  writeFileSync(join(folder, 'release.json'), bytes)
  writeFileSync(join(folder, 'release.sig'), sign(null, bytes, privateKey).toString('base64'))
  writeFileSync(join(folder, 'release.pub'), `${publicKey}\n`)
  writeFileSync(join(folder, 'install-agent.sh'), script)
  writeFileSync(join(folder, `agent-${hash(archive)}.tar.gz`), archive)
  writeFileSync(join(folder, `node-x64-${hash(node)}.gz`), node)
}

async function serve(publicUrls: readonly URL[] = []): Promise<FastifyInstance> {
  app = Fastify()
  registerErrorHandler(
    app,
    () => undefined,
    () => undefined,
  )
  mountRoutes(
    app,
    installRoutes({ release: await openAgentRelease(folder), publicUrls }),
    async () => undefined,
  )
  return app
}

describe('a release of the agent', () => {
  test('is opened where all of it is as it was signed', async () => {
    const { statement, files } = await openAgentRelease(folder)
    expect(statement).toMatchObject({ version: '1.2.3', counter: 7 })
    expect([...files.keys()]).toHaveLength(2)
  })

  test.each([
    [
      'the archive was changed',
      () => writeFileSync(join(folder, `agent-${hash('the archive')}.tar.gz`), 'another'),
      'was changed',
    ],
    [
      'the installer was changed',
      () => writeFileSync(join(folder, 'install-agent.sh'), `${script}rm -rf /\n`),
      'was changed',
    ],
    ['the statement was changed', () => writeFileSync(join(folder, 'release.json'), '{}'), 'signature'],
    ['the signature is missing', () => rmSync(join(folder, 'release.sig')), 'ENOENT'],
    ['the key is none', () => writeFileSync(join(folder, 'release.pub'), 'nonsense'), 'Ed25519'],
    [
      'a name leads out of the folder',
      () => write({ archive: { name: '../x', sha256: hash('x'), bytes: 1 } }),
      'does not fit',
    ],
    ['a version could be read by a shell', () => write({ version: "1'; rm -rf /" }), 'does not fit'],
  ])('is refused where %s', async (_what, change, problem) => {
    change()
    await expect(openAgentRelease(folder)).rejects.toThrow(
      expect.objectContaining({
        code: 'FLT_INSTALL_RELEASE_DAMAGED',
        message: expect.stringContaining(problem),
      }),
    )
  })
})

describe('what a new machine fetches', () => {
  test('is the installer with the address it was reached by, and files that never change', async () => {
    const server = await serve()
    const installer = await server.inject({
      url: '/install/agent.sh',
      headers: { host: 'fleet.example:8000' },
    })
    expect(installer.body).toContain("BAKED_SERVER_URL='http://fleet.example:8000'")
    expect(installer.body).toContain(`BAKED_NODES='x64 20.20.2 2.28 node-x64-${hash('the node')}.gz'`)
    expect(installer.headers['cache-control']).toBe('no-store')
    const file = await server.inject(`/install/files/agent-${hash('the archive')}.tar.gz`)
    expect(file.body).toBe('the archive')
    expect(file.headers['cache-control']).toContain('immutable')
  })

  test('names PUBLIC_URL, whatever the request says', async () => {
    const server = await serve([new URL('https://fleet.example')])
    const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example' }
    expect((await server.inject({ url: '/install/agent.sh', headers })).body).toContain(
      "BAKED_SERVER_URL='https://fleet.example'",
    )
  })

  test.each(["x';id;'", 'x$(id)', 'x`id`', 'x y', 'x\\y', 'x"y'])('refuses the host %s', async (host) => {
    const answer = await (await serve()).inject({ url: '/install/agent.sh', headers: { host } })
    expect(answer.statusCode).toBe(400)
    expect(answer.body).not.toContain('BAKED')
  })

  test.each(['release.json', '..%2frelease.json', '%2fetc%2fpasswd', 'install-agent.sh'])(
    'has no file %s',
    async (name) => {
      expect((await (await serve()).inject(`/install/files/${name}`)).statusCode).toBe(404)
    },
  )

  test('is nothing on a server without a release', async () => {
    app = Fastify()
    registerErrorHandler(
      app,
      () => undefined,
      () => undefined,
    )
    mountRoutes(app, installRoutes({ release: undefined, publicUrls: [] }), async () => undefined)
    expect((await app.inject('/install/agent.sh')).json()).toMatchObject({ code: 'FLT_INSTALL_NO_RELEASE' })
  })
})

describe('the pasted line', () => {
  /** Runs it with a `curl` and a `sudo` of its own; answers what it printed. */
  const paste = (line: string, served: string): { output: string; seen: string } => {
    const bin = join(folder, 'bin')
    spawnSync('mkdir', ['-p', bin])
    writeFileSync(join(folder, 'served'), served)
    writeFileSync(join(bin, 'curl'), `#!/bin/sh\necho "curl $*" >>${folder}/seen\ncat ${folder}/served\n`, {
      mode: 0o755,
    })
    writeFileSync(join(bin, 'sudo'), `#!/bin/sh\necho "sudo $*" >>${folder}/seen\nexec "$@"\n`, {
      mode: 0o755,
    })
    writeFileSync(join(folder, 'seen'), '')
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', line], {
      encoding: 'utf8',
      env: { PATH: `${bin}:/usr/bin:/bin` },
    })
    return {
      output: stdout + stderr,
      seen: spawnSync('cat', [join(folder, 'seen')], { encoding: 'utf8' }).stdout,
    }
  }
  const invite = async () => {
    const serverUrl = 'http://fleet.example:8000'
    const { text, sha256 } = servedInstaller(await openAgentRelease(folder), serverUrl)
    return {
      text,
      line: invitationLine({ agentId: 'vm-01', token: 'secret-token', serverUrl, installerSha256: sha256 }),
    }
  }

  test('runs the installer it names, and shows the secret to nobody', async () => {
    const { text, line } = await invite()
    const { output, seen } = paste(line, text)
    expect(output).toBe('vm-01 at http://fleet.example:8000\n')
    expect(seen).toBe('sudo sh\ncurl -fsSL http://fleet.example:8000/install/agent.sh\n')
  })

  test('runs nothing else, and nothing of what was cut anywhere', async () => {
    const { text, line } = await invite()
    for (const served of [
      `${text}echo more\n`,
      text.replace('vm', 'xm').replace('echo', 'exec'),
      '',
      '<html>404</html>',
    ])
      expect(paste(line, served).output).toContain('did not arrive as invited')
    for (let cut = 1; cut < text.length - 1; cut += 7)
      expect(paste(line, text.slice(0, cut)).output).toContain('Nothing was done')
  })

  test("takes the machine's own name where none was given", async () => {
    const { text } = await invite()
    const { sha256 } = servedInstaller(await openAgentRelease(folder), 'http://fleet.example:8000')
    const line = invitationLine({
      agentId: null,
      token: 't',
      serverUrl: 'http://fleet.example:8000',
      installerSha256: sha256,
    })
    expect(paste(line, text).output).toBe(
      `${spawnSync('hostname', { encoding: 'utf8' }).stdout.trim()} at http://fleet.example:8000\n`,
    )
  })
})
