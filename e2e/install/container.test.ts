import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FleetClient, logIn } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aptRootProblem } from '../apt-root/create-apt-root.ts'
import { repository } from '../repository.ts'
import { buildImage, type ContainerImage, containerProblem, type Running } from './container-image.ts'
import { createReleases, type Releases } from './releases.ts'

const problem = aptRootProblem() ?? containerProblem()
if (problem !== undefined) console.warn(`Skipped: the container image. ${problem}`)

const data = '/var/lib/orchestrator-server'
const key = '/etc/orchestrator-server'

describe.skipIf(problem !== undefined)('the container image', () => {
  let releases: Releases
  let image: ContainerImage
  let home = ''
  let running: Running | undefined
  let volumes: Record<string, string>

  /** Made at the first start, and said in what an engine keeps as the container's log. */
  let password: string | undefined
  const start = async (): Promise<FleetClient> => {
    running = await image.start(volumes)
    const { url, output, process } = running
    for (;;) {
      password ??= /Log in as "admin" with the password +(\S+)/.exec(output())?.[1]
      const client = password && (await logIn(url, 'admin', password).catch(() => undefined))
      if (client) return client
      if (process.exitCode !== null) throw new Error(`The server ended:\n${output()}`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  const health = () => {
    const [kind, ...argv] = image.config.Healthcheck.Test
    expect(kind).toBe('CMD')
    return running?.exec(argv)
  }
  /** As an engine does: the signal, and what the process answers with. */
  const stop = async (): Promise<unknown[]> => {
    const ended = once(running?.process ?? process, 'exit')
    process.kill(running?.pid() ?? 0, 'SIGTERM')
    return ended
  }

  beforeAll(async () => {
    releases = createReleases()
    home = mkdtempSync(join(tmpdir(), 'fleet-volumes-'))
    image = await buildImage(releases.build('0.9.1', 1))
    const [uid = 0, gid = 0] = image.config.User.split(':').map(Number)
    volumes = { [data]: join(home, 'data'), [key]: join(home, 'key') }
    // An engine gives a new volume the owner that the folder has in the image.
    for (const folder of Object.values(volumes)) {
      mkdirSync(folder)
      chownSync(folder, uid, gid)
    }
  })

  afterAll(() => {
    if (running?.process.exitCode === null) process.kill(running.pid(), 'SIGKILL')
    image?.remove()
    releases?.remove()
    if (home) rmSync(home, { recursive: true, force: true })
  })

  test('says that it runs as somebody else than root, and where it keeps what', () => {
    expect(image.config).toMatchObject({
      User: '8000:8000',
      Entrypoint: ['fleetupdate'],
      Cmd: ['serve'],
      ExposedPorts: { '8000/tcp': {} },
    })
    expect(Object.keys(image.config.Volumes).sort()).toEqual([key, data])
    // Nothing of the image could be changed by its own user.
    const found = spawnSync('find', [join(image.root, 'opt'), '!', '-uid', '0'], { encoding: 'utf8' })
    expect(found).toMatchObject({ status: 0, stdout: '' })
  })

  test('serves, is healthy, and writes nowhere but into its volumes', async () => {
    const stamp = join(home, 'stamp')
    writeFileSync(stamp, '')
    const client = await start()
    expect((await client.request('GET', '/api/health')).body).toMatchObject({ version: '0.9.1' })
    expect((await fetch(`${client.url}/`)).headers.get('content-type')).toContain('text/html')
    expect(health()).toMatchObject({ exitCode: 0 })
    expect(readFileSync(`/proc/${running?.pid()}/status`, 'utf8')).toMatch(/^Uid:\t8000\t8000\t8000\t8000$/m)
    expect(readFileSync(`/proc/${running?.pid()}/status`, 'utf8')).toMatch(/^CapEff:\t0+$/m)
    const written = ['-xdev', '-newer', stamp, '-type', 'f', '!', '-path', `${image.root}/tmp/*`]
    expect(spawnSync('find', [image.root, ...written], { encoding: 'utf8' }).stdout).toBe('')
  })

  test('the program for people works in it', () => {
    const listed = running?.exec(['fleetupdate', 'user', 'list', '--json'])
    expect(listed?.stderr).toBe('')
    expect(JSON.parse(listed?.stdout ?? '')).toMatchObject({ items: [{ name: 'admin', role: 'admin' }] })
  })

  test('ends in order when it is told to, is not healthy then, and finds its data again', async () => {
    expect(image.config.StopSignal ?? 'SIGTERM').toBe('SIGTERM')
    expect(await stop()).toEqual([0, null])
    expect(health()).toMatchObject({ exitCode: 1 })
    const before = readFileSync(join(home, 'key/master.key'), 'utf8')
    const client = await start()
    expect(readFileSync(join(home, 'key/master.key'), 'utf8')).toBe(before)
    const { body } = await client.request<{ items: { action: string }[] }>('GET', '/api/audit')
    expect(body.items.filter(({ action }) => action === 'session.opened').length).toBeGreaterThan(1)
    expect(await stop()).toEqual([0, null])
  })
})

const compose = spawnSync('docker-compose', ['version']).error === undefined
if (!compose)
  console.warn('Skipped: the compose file. It needs docker-compose: apt-get install docker-compose')

test.skipIf(!compose)('the compose file is one', () => {
  const file = join(repository, 'deploy/container/compose.yaml')
  const said = spawnSync('docker-compose', ['-f', file, 'config'], { encoding: 'utf8' })
  expect(said).toMatchObject({ status: 0, stderr: '' })
  expect(said.stdout).toMatch(/read_only: true/)
})
