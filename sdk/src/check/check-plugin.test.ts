import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from 'typebox'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Migration } from '../contract/plugin.ts'
import { checkPlugin, lockMigrations, type Subject } from './check-plugin.ts'

const folder = mkdtempSync(join(tmpdir(), 'check-'))
let sound: Subject

const first: Migration = {
  name: '0001-seen',
  up: (db) => db.schema.createTable('seen').addColumn('id', 'text').execute(),
}
const second: Migration = {
  name: '0002-index',
  up: (db) => db.schema.createIndex('seen_id').on('seen').column('id').execute(),
}

beforeAll(() => {
  sound = {
    folder,
    name: 'disk-health',
    manifest: {
      id: 'disk-health',
      sdk: '1',
      server: './dist/server.js',
      executor: './dist/executor.js',
      programs: ['df'],
    },
    contract: {
      id: 'disk-health',
      facts: {},
      facets: {},
      commands: {
        measure: { input: Type.Object({}, { additionalProperties: false }), result: Type.Object({}) },
        watch: { endless: true },
      },
    },
    migrations: [],
    sources: new Map([
      ['src/executor.ts', `await run('df', ['--', path])`],
      ['src/executor.test.ts', `commands: { measure: { input: {} } }; executor.commands.watch`],
    ]),
    readme: '# Disk health\n\n## What it does\n\n## Commands\n\n## What it needs\n',
    built: new Map([['dist/server.js', 200 * 1024]]),
  }
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const broken = async (change: Partial<Subject>): Promise<readonly string[]> =>
  (await checkPlugin({ ...sound, ...change })).map(({ rule }) => rule)

describe('the rules of a plugin', () => {
  test('find nothing to fix in a sound one', async () => {
    expect(await checkPlugin(sound)).toEqual([])
  })

  test('each name what breaks them', async () => {
    const { contract, manifest } = sound
    const measure = (definition: object): Partial<Subject> => ({
      contract: { ...contract, commands: { measure: definition } },
    })
    const closed = { additionalProperties: false }
    const result = Type.Object({})
    expect(await broken({ name: 'disks' })).toEqual(['id-is-folder'])
    expect(await broken({ contract: { ...contract, id: 'disks' } })).toEqual(['id-is-folder'])
    expect(await broken({ readme: undefined })).toEqual(['readme'])
    expect(await broken({ readme: '## Commands\n' })).toEqual(['readme', 'readme'])
    expect(await broken(measure({ input: Type.Object({}), result }))).toEqual(['inputs-closed'])
    const inner = Type.Object({ a: Type.Array(Type.Object({ b: Type.String() })) }, closed)
    expect(await broken(measure({ input: inner, result }))).toEqual(['inputs-closed'])
    const union = Type.Union([Type.Object({}, closed), Type.Object({})])
    expect(await broken(measure({ input: union, result }))).toEqual(['inputs-closed'])
    expect(await broken(measure({}))).toEqual(['results-described'])
    for (const open of [
      Type.Unknown(),
      Type.Object({ a: Type.Unknown() }),
      Type.Object({ a: Type.Array(Type.Any()) }),
      Type.Object({}, { additionalProperties: true }),
      Type.Record(Type.String(), Type.Unknown()),
      Type.Union([Type.String(), Type.Any()]),
    ]) {
      expect(await broken(measure({ result: open }))).toEqual(['outputs-closed'])
      expect(await broken({ contract: { ...contract, facts: { all: open } } })).toEqual(['outputs-closed'])
    }
    const described = Type.Object({
      a: Type.Union([Type.Null(), Type.Literal('x')]),
      b: Type.Record(Type.String(), Type.Integer()),
    })
    expect(await broken(measure({ result: described }))).toEqual([])
    expect(await broken({ sources: new Map() })).toEqual(['commands-tested', 'commands-tested'])
    expect(await broken({ manifest: { ...manifest, programs: [] } })).toEqual(['programs-declared'])
    expect(await broken({ built: new Map([['dist/executor.js', 600 * 1024]]) })).toEqual(['sizes'])
  })

  test('take a program that a privilege names as declared', async () => {
    const privileges = [{ id: 'df', reason: 'why', program: '/usr/bin/df', args: [] }]
    expect(await broken({ manifest: { ...sound.manifest, programs: [], privileges } })).toEqual([])
  })

  test('hold the manifest to the version that has what a panel imports', async () => {
    const panel = `import { FleetCard,\n  useRoutes, useText } from '@fleetupdate/sdk/panel'`
    const sources = new Map([...sound.sources, ['src/panel/Page.vue', panel]])
    expect(await broken({ sources })).toEqual(['sdk-version'])
    expect(await broken({ sources, manifest: { ...sound.manifest, sdk: '1.1' } })).toEqual([])
    expect(await broken({ sources, manifest: { ...sound.manifest, sdk: '2' } })).toEqual([])
  })

  test('keep a panel to its own routes, asked through the dashboard', async () => {
    const panel = (text: string): Partial<Subject> => ({
      sources: new Map([...sound.sources, ['src/panel/Page.vue', text]]),
    })
    for (const text of [
      `await fetch('api/agents')`,
      'new EventSource(address)',
      'window.fetch(address)',
      `routes.call('POST', '/api/plugins/x/notes')`,
      `routes.call<{ items: Note[] }>('GET', '../metrics/agents')`,
      'routes.call("GET", `notes?of=${id}`)',
      `routes.call('DELETE', 'https://elsewhere.example.com')`,
    ])
      expect(await broken(panel(text)), text).toEqual(['panel-routes'])
    for (const text of [
      `routes.call<Note>('POST', 'notes', { body: { text } })`,
      'routes.call("GET", `notes/${id}`)',
      `prefetch('notes'); fetcher.fetch()`,
    ])
      expect(await broken(panel(text)), text).toEqual([])
  })

  test('let migrations only be appended', async () => {
    const rule = ['migrations-append-only']
    expect(await broken({ migrations: [first] })).toEqual(rule)
    expect(await lockMigrations({ ...sound, migrations: [first] })).toEqual(['0001-seen'])
    expect(await broken({ migrations: [first] })).toEqual([])
    expect(await broken({ migrations: [first, second] })).toEqual(rule)
    expect(await broken({ migrations: [second, first] })).toContain(rule[0])
    expect(await broken({ migrations: [] })).toEqual(rule)
    const changed: Migration = { ...first, up: (db) => db.schema.createTable('other').execute() }
    expect(await lockMigrations({ ...sound, migrations: [changed, second] })).toEqual([])
    expect(await broken({ migrations: [changed] })).toEqual(rule)
    expect(await lockMigrations({ ...sound, migrations: [first, second] })).toEqual(['0002-index'])
    expect(await broken({ migrations: [first, second] })).toEqual([])
    expect(JSON.parse(readFileSync(join(folder, 'migrations.lock.json'), 'utf8'))).toHaveLength(2)
    rmSync(join(folder, 'migrations.lock.json'))
  })
})
