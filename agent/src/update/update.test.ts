import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { writeTar } from '@fleetupdate/sdk/bundle'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { applyUpdate } from './apply.ts'
import type { UpdatePaths } from './paths.ts'
import { createUpdateRecords } from './records.ts'
import { runTrial, type Service } from './trial.ts'

const { privateKey } = generateKeyPairSync('ed25519')
const stranger = generateKeyPairSync('ed25519').privateKey
let dir: string
let paths: UpdatePaths

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fleet-update-'))
  const folder = (name: string): string => {
    mkdirSync(join(dir, name), { recursive: true })
    return join(dir, name)
  }
  paths = {
    programs: folder('programs'),
    pin: join(dir, 'release.pub'),
    incoming: folder('state/update'),
    state: folder('state'),
    records: folder('records'),
    units: folder('units'),
  }
  writeFileSync(paths.pin, `${publicText(privateKey)}\n`)
  mkdirSync(join(paths.programs, '1.0/node/bin'), { recursive: true })
  mkdirSync(join(paths.programs, '1.0/systemd'))
  writeFileSync(join(paths.programs, '1.0/systemd/agent.service'), 'unit of 1.0')
  writeFileSync(join(paths.programs, '1.0/VERSION'), '1.0\n')
  writeFileSync(join(paths.programs, '1.0/release.json'), '{ "counter": 10 }')
  symlinkSync(process.execPath, join(paths.programs, '1.0/node/bin/node'))
  symlinkSync('1.0', join(paths.programs, 'current'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function publicText(key: KeyObject): string {
  return createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64')
}

interface Change {
  readonly version?: string
  readonly counter?: number
  readonly oldestNode?: string
  readonly key?: KeyObject
  readonly archive?: Buffer
}

/** Puts a release where the agent would have fetched it; answers its hash. */
function fetched({
  version = '2.0',
  counter = 11,
  oldestNode = '20.19.0',
  key = privateKey,
  archive,
}: Change = {}): string {
  const file = (path: string, text: string) => ({ path, content: Buffer.from(text) })
  const sound = gzipSync(
    writeTar([
      file('VERSION', `${version}\n`),
      file('agent-updater', '#!/bin/sh\n'),
      file('executors/x/package.json', '{}'),
      file('main.js', ''),
      file('systemd/agent.service', `unit of ${version}`),
    ]),
  )
  const bytes = archive ?? sound
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const statement = {
    type: 'fleetupdate-agent-release-1',
    ...{ version, counter, oldestNode, nodes: [] },
    archive: { name: `agent-${sha256}.tar.gz`, sha256, bytes: bytes.length },
    installer: { name: 'install-agent.sh', sha256: 'a'.repeat(64), bytes: 1 },
  }
  const json = Buffer.from(JSON.stringify(statement))
  writeFileSync(join(paths.incoming, 'release.json'), json)
  writeFileSync(join(paths.incoming, 'release.sig'), sign(null, json, key).toString('base64'))
  writeFileSync(join(paths.incoming, 'agent.tar.gz'), bytes)
  return sha256
}

const link = (name: string): string => readlinkSync(join(paths.programs, name))
const unit = (): string => readFileSync(join(paths.units, 'agent.service'), 'utf8')

describe('putting a release in place', () => {
  test('changes nothing of what runs', async () => {
    expect(await applyUpdate(paths, fetched())).toEqual({ from: '1.0', to: '2.0' })
    expect([link('current'), link('previous')]).toEqual(['1.0', '1.0'])
    expect(readFileSync(join(paths.programs, '2.0/VERSION'), 'utf8')).toBe('2.0\n')
    expect(readlinkSync(join(paths.programs, '2.0/node/bin/node'))).toBe(process.execPath)
    expect(await createUpdateRecords(paths.records).trial()).toMatchObject({ from: '1.0', to: '2.0' })
  })

  const refused: readonly (readonly [what: string, act: () => string, reason: string])[] = [
    ['one signed by a stranger', () => fetched({ key: stranger }), 'not signed by a key'],
    ['an older one', () => fetched({ counter: 9 }), 'is older than 1.0'],
    ['the one that runs', () => fetched({ version: '1.0' }), 'runs already'],
    ['one that needs a newer Node', () => fetched({ oldestNode: '99.0.0' }), 'needs Node 99.0.0'],
    ['another than was asked for', () => fetched().replace(/./g, 'b'), 'another one than was asked for'],
    [
      'a changed statement',
      () => {
        const hash = fetched()
        const file = join(paths.incoming, 'release.json')
        writeFileSync(file, readFileSync(file, 'utf8').replace('"2.0"', '"3.0"'))
        return hash
      },
      'not signed by a key',
    ],
    [
      'a changed archive',
      () => {
        const hash = fetched()
        writeFileSync(join(paths.incoming, 'agent.tar.gz'), 'something else')
        return hash
      },
      'not the one that was signed',
    ],
    [
      'a link in the place of the archive',
      () => {
        const hash = fetched()
        rmSync(join(paths.incoming, 'agent.tar.gz'))
        symlinkSync('/etc/shadow', join(paths.incoming, 'agent.tar.gz'))
        return hash
      },
      'cannot be read',
    ],
    [
      'a signed bomb',
      () => fetched({ archive: gzipSync(Buffer.alloc(65 * 1024 * 1024)) }),
      'cannot be unpacked',
    ],
    ['a signed archive that is none', () => fetched({ archive: Buffer.from('text') }), 'cannot be unpacked'],
    ['a version that leads out of the folder', () => fetched({ version: '../../etc' }), 'does not fit'],
    [
      'all of them without a pinned key',
      () => {
        rmSync(paths.pin)
        return fetched()
      },
      'trusts no release key',
    ],
  ]
  test.each(refused)('refuses %s', async (_what, act, reason) => {
    await expect(applyUpdate(paths, act())).rejects.toThrow(reason)
    expect(link('current')).toBe('1.0')
    expect(existsSync(join(paths.programs, '2.0'))).toBe(false)
    expect(await createUpdateRecords(paths.records).trial()).toBeUndefined()
  })

  test('refuses a second while one is on trial', async () => {
    await applyUpdate(paths, fetched())
    await expect(applyUpdate(paths, fetched({ version: '3.0' }))).rejects.toThrow('on trial')
  })
})

/** systemd and the agent it starts: what each version does when it is started. */
function host(
  behaviour: Readonly<Record<string, 'checks in' | 'hangs' | 'crashes'>>,
): Service & { readonly started: string[] } {
  const started: string[] = []
  let restarts = 0
  return {
    started,
    reload: async () => undefined,
    async restart() {
      const version = link('current')
      started.push(version)
      restarts = 0
      if (behaviour[version] !== 'checks in') return
      const said = { version, at: new Date().toISOString(), serverUrl: 'http://127.0.0.1' }
      writeFileSync(join(paths.state, 'checked-in.json'), JSON.stringify(said))
    },
    restarts: async () => (behaviour[link('current')] === 'crashes' ? ++restarts : 0),
    lastWords: async () => 'its last words',
  }
}
const trial = (service: Service) => runTrial({ paths, service, patienceMs: 1200 })

describe('the trial', () => {
  test('keeps the new version where its server lets it in, and the one before it', async () => {
    await applyUpdate(paths, fetched())
    const service = host({ '2.0': 'checks in' })
    expect(await trial(service)).toMatchObject({ from: '1.0', to: '2.0', result: 'updated' })
    expect([link('current'), link('previous'), unit()]).toEqual(['2.0', '1.0', 'unit of 2.0'])
    await applyUpdate(paths, fetched({ version: '3.0', counter: 12 }))
    expect(await trial(host({ '3.0': 'checks in' }))).toMatchObject({ result: 'updated' })
    expect(['1.0', '2.0', '3.0'].map((one) => existsSync(join(paths.programs, one)))).toEqual([
      false,
      true,
      true,
    ])
  })

  test.each(['hangs', 'crashes'] as const)('brings the old one back where the new one %s', async (bad) => {
    await applyUpdate(paths, fetched())
    const service = host({ '1.0': 'checks in', '2.0': bad })
    expect(await trial(service)).toMatchObject({
      result: 'rolled-back',
      reason: expect.stringContaining('its last words'),
    })
    expect(service.started).toEqual(['2.0', '1.0'])
    expect([link('current'), unit(), existsSync(join(paths.programs, '2.0'))]).toEqual([
      '1.0',
      'unit of 1.0',
      false,
    ])
    // It may be tried again.
    await applyUpdate(paths, fetched())
  })

  test('goes back to the version that ran before, and to no other one that is older', async () => {
    const first = fetched()
    await applyUpdate(paths, first)
    await trial(host({ '2.0': 'checks in' }))
    const second = fetched({ version: '3.0', counter: 13 })
    await applyUpdate(paths, second)
    await trial(host({ '3.0': 'checks in' }))
    rmSync(join(paths.incoming, 'agent.tar.gz'))
    expect(await applyUpdate(paths, first)).toEqual({ from: '3.0', to: '2.0' })
    expect(await trial(host({ '2.0': 'checks in' }))).toMatchObject({
      ...{ id: first, from: '3.0', to: '2.0', result: 'updated' },
    })
    expect([link('current'), link('previous'), unit()]).toEqual(['2.0', '3.0', 'unit of 2.0'])
    // Newer than what runs now, older than what ran: the way between is not open.
    const between = fetched({ version: '2.5', counter: 12 })
    await expect(applyUpdate(paths, between)).rejects.toThrow('is older than 3.0, which ran here')
    expect(await applyUpdate(paths, second)).toEqual({ from: '2.0', to: '3.0' })
  })

  test('stays where it is where the version before does not come up any more', async () => {
    const first = fetched()
    await applyUpdate(paths, first)
    await trial(host({ '2.0': 'checks in' }))
    await applyUpdate(paths, fetched({ version: '3.0', counter: 12 }))
    await trial(host({ '3.0': 'checks in' }))
    await applyUpdate(paths, first)
    const outcome = await trial(host({ '2.0': 'crashes', '3.0': 'checks in' }))
    expect(outcome).toMatchObject({ from: '3.0', to: '2.0', result: 'rolled-back' })
    expect(link('current')).toBe('3.0')
    // It was removed, and there is nothing more to go back to.
    await expect(applyUpdate(paths, first)).rejects.toThrow('another one than was asked for')
  })

  test('does nothing where there is none', async () => {
    expect(await trial(host({}))).toBeUndefined()
  })

  test('goes on after a cut at any step', async () => {
    for (const good of [true, false])
      for (let step = 0; step < 6; step++) {
        rmSync(join(paths.programs, '2.0'), { recursive: true, force: true })
        rmSync(join(paths.programs, 'current'))
        symlinkSync('1.0', join(paths.programs, 'current'))
        await applyUpdate(paths, fetched())
        let left = step
        const real = host({ '1.0': 'checks in', '2.0': good ? 'checks in' : 'hangs' })
        const cut = (): void => {
          if (left-- === 0) throw new Error('the power went out')
        }
        const cutBefore = async <T>(act: () => Promise<T>): Promise<T> => {
          cut()
          return act()
        }
        const service: Service = {
          reload: () => cutBefore(real.reload),
          restart: () => cutBefore(real.restart),
          restarts: () => cutBefore(real.restarts),
          lastWords: () => cutBefore(real.lastWords),
        }
        await trial(service).catch(() => undefined)
        // The next boot starts whatever is current, and the unit of the trial, if it is still open.
        await real.restart()
        const outcome = (await trial(real)) ?? (await createUpdateRecords(paths.records).outcome())
        expect(outcome?.result, `step ${step}`).toBe(good ? 'updated' : 'rolled-back')
        expect(link('current'), `step ${step}`).toBe(good ? '2.0' : '1.0')
      }
  }, 40_000)
})

test('the attempt that waits for the outcome can read it from the moment it is there', async () => {
  const records = createUpdateRecords(paths.records)
  const file = join(paths.records, 'update-outcome.json')
  const modes = new Set<number>()
  for (let round = 0; round < 20; round += 1) {
    rmSync(file, { force: true })
    let isWriting = true
    const written = records.refuse('a', `reason ${round}`).finally(() => {
      isWriting = false
    })
    while (isWriting) {
      const seen = statSync(file, { throwIfNoEntry: false })
      if (seen) modes.add(seen.mode & 0o777)
      await new Promise(setImmediate)
    }
    await written
    modes.add(statSync(file).mode & 0o777)
  }
  expect([...modes]).toEqual([0o644])
})
