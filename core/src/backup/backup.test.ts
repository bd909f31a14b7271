import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { verifyAudit } from '../audit/verify.ts'
import { openMasterKey } from '../auth/master-key.ts'
import { coreMigrations } from '../store/core-migrations.ts'
import { createStore } from '../store/create-store.ts'
import type { Migration, Store } from '../store/store.ts'
import { createBackup } from './create-backup.ts'
import { backupFormat, keyIdOf, manifestName, writeManifest } from './manifest.ts'
import { verifyBackup } from './open-backup.ts'
import { restoreBackup } from './restore-backup.ts'

const execute = promisify(execFile)
const notes: Migration = {
  name: '0001-notes',
  up: (db) => db.schema.createTable('notes').addColumn('text', 'text').execute(),
}

let folder: string
let dataDir: string
let masterKeyFile: string
let masterKey: Buffer
let open: Store[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleetupdate-backup-'))
  dataDir = join(folder, 'data')
  masterKeyFile = join(dataDir, 'master.key')
  masterKey = await openMasterKey(masterKeyFile)
})
afterEach(async () => {
  for (const store of open) await store.close()
  open = []
  await rm(folder, { recursive: true, force: true })
})

const openStore = async (dir = dataDir): Promise<Store> => {
  const store = await createStore({ dir, migrations: coreMigrations, onFatal: () => undefined })
  open.push(store)
  const user = store.read.insertInto('users').values({ id: 'u', name: 'ada', role: 'admin', createdAt: 1 })
  await store.write([user.onConflict((conflict) => conflict.doNothing()).compile()])
  return store
}
const closeAll = async (): Promise<void> => {
  for (const store of open.splice(0)) await store.close()
}
const from = { address: '', client: '' }
const insert = (store: Store, id: string) =>
  store.read
    .insertInto('sessions')
    .values({ id, userId: 'u', kind: 'login', createdAt: 1, expiresAt: 4e12, endedAt: null, ...from })
    .compile()
const backUp = (target = join(folder, 'backup.tar.gz')) =>
  createBackup({ dataDir, masterKey, masterKeyFile, target, version: '1.2.3' })
const restore = (backup: string, more: object = {}) =>
  restoreBackup({ backup, dataDir, masterKey, masterKeyFile, replace: false, actor: 'root', ...more })
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error) => error.code ?? String(error),
  )
const idsIn = (file: string): string[] => {
  const db = new Database(file, { readonly: true })
  const rows = db.prepare<[], { id: string }>('select id from sessions order by id').all()
  db.close()
  return rows.map(({ id }) => id)
}
const unpacked = async (backup: string): Promise<string> => {
  const to = join(folder, `unpacked-${readdirSync(folder).length}`)
  mkdirSync(to)
  // Any tar reads it.
  await execute('tar', ['-xzf', backup, '-C', to])
  return to
}

test('a backup holds every row that was stored before it, in all files as they were at one moment', async () => {
  const store = await openStore()
  const plugin = await store.openPlugin('notes', [notes])
  const written = new Set<string>()
  let going = true
  // The plugin's file first: what core.db says to be stored there must be in it.
  const load = (async () => {
    for (let n = 0; going; n++) {
      const id = String(n).padStart(6, '0')
      await plugin.write([{ sql: 'insert into notes (text) values (?)', parameters: [id] }])
      await store.write([insert(store, id)])
      written.add(id)
    }
  })()
  while (written.size < 50) await new Promise(setImmediate)
  const before = [...written]
  const made = await backUp()
  going = false
  await load
  const copy = await unpacked(made.path)
  const core = idsIn(join(copy, 'core.db'))
  const db = new Database(join(copy, 'plugins-data/notes.db'))
  const texts = new Set(
    db
      .prepare<[], { text: string }>('select text from notes')
      .all()
      .map(({ text }) => text),
  )
  db.close()
  expect(before.filter((id) => !core.includes(id))).toEqual([])
  expect(core.filter((id) => !texts.has(id))).toEqual([])
  expect(await verifyBackup(made.path, { masterKey, masterKeyFile })).toMatchObject({ version: '1.2.3' })
})

test('the master key, the state of an agent, links and half installations are never in it', async () => {
  await openStore()
  for (const path of ['local-agent/identity.json', 'plugins/x/server.js', 'plugin-bundles/x.fleetplugin']) {
    mkdirSync(join(dataDir, path, '..'), { recursive: true })
    writeFileSync(join(dataDir, path), path)
  }
  mkdirSync(join(dataDir, 'plugin-bundles/y.new'))
  writeFileSync(join(dataDir, 'plugin-bundles/y.new/half'), '')
  symlinkSync('/etc/hostname', join(dataDir, 'plugins/link'))
  const { files, leftOut } = await backUp()
  expect(files.map(({ path }) => path)).toEqual([
    'core.db',
    'plugin-bundles/x.fleetplugin',
    'plugins/x/server.js',
  ])
  expect(leftOut).toEqual(['local-agent', 'master.key', 'plugins/link'])
})

test('restoring brings the rows back, ends sessions, keeps what was there aside, and says so in the audit', async () => {
  const store = await openStore()
  await store.write([insert(store, 'before')])
  const { path } = await backUp()
  await store.write([insert(store, 'after')])
  await closeAll()
  expect(await refusal(restore(path))).toBe('FLT_BACKUP_TARGET')
  expect(idsIn(join(dataDir, 'core.db'))).toEqual(['after', 'before'])
  const restored = await restore(path, { replace: true })
  expect(restored).toMatchObject({ sessions: 1, enrolmentTokens: 0 })
  expect(idsIn(join(restored.aside ?? '', 'core.db'))).toEqual(['after', 'before'])
  const now = await openStore()
  const rows = await now.read.selectFrom('sessions').select(['id', 'endedAt']).execute()
  expect(rows).toEqual([{ id: 'before', endedAt: expect.any(Number) }])
  const audit = await now.read.selectFrom('audit_log').select(['action', 'actorType', 'actorId']).execute()
  expect(audit).toEqual([{ action: 'backup.restored', actorType: 'console', actorId: 'root' }])
  expect(existsSync(masterKeyFile)).toBe(true)
  const checkpoints = join(dataDir, 'audit-checkpoints.jsonl')
  const { problems } = await verifyAudit({ read: now.read, masterKey, checkpoints })
  expect(problems).toEqual([])
})

test('an empty data folder needs no --force; a folder that an archive was unpacked to restores too', async () => {
  const store = await openStore()
  await store.write([insert(store, 'one')])
  const copy = await unpacked((await backUp()).path)
  const elsewhere = join(folder, 'elsewhere')
  expect((await restore(copy, { dataDir: elsewhere })).aside).toBeUndefined()
  expect(idsIn(join(elsewhere, 'core.db'))).toEqual(['one'])
})

test('a folder of a running server is refused', async () => {
  await openStore()
  const { path } = await backUp()
  expect(await refusal(restore(path, { replace: true }))).toBe('FLT_BACKUP_RUNNING')
  await closeAll()
  expect(await refusal(restore(path, { replace: true }))).toBe('done')
})

test('a backup replaces nothing, and one into a folder has the date in its name', async () => {
  await openStore()
  const { path } = await backUp()
  expect(await refusal(backUp(path))).toBe('FLT_BACKUP_EXISTS')
  mkdirSync(join(folder, 'backups'))
  expect((await backUp(join(folder, 'backups'))).path).toMatch(
    /fleetupdate-\d{4}-\d\d-\d\dT[\d-]+Z\.tar\.gz$/,
  )
  expect(await refusal(backUp(join(folder, 'nowhere/there')))).toBe('FLT_BACKUP_FAILED')
  expect(readdirSync(folder).filter((name) => name.startsWith('backup.'))).toEqual(['backup.tar.gz'])
})

test('an archive that is cut short or has wrong bytes anywhere is refused, and nothing changes', async () => {
  const store = await openStore()
  await store.write([insert(store, 'one')])
  const { path, bytes } = await backUp()
  await closeAll()
  for (const size of [0, 100, Math.floor(bytes / 2), bytes - 1]) {
    const cut = join(folder, `cut-${size}`)
    cpSync(path, cut)
    truncateSync(cut, size)
    expect(await refusal(restore(cut, { replace: true }))).toBe('FLT_BACKUP_DAMAGED')
  }
  const whole = readFileSync(path)
  for (const at of [20, Math.floor(bytes / 3), Math.floor(bytes / 2), bytes - 5]) {
    const wrong = Buffer.from(whole)
    // One byte may decode to the same content: a run of zeros has many codes.
    for (let i = at; i < Math.min(at + 16, bytes); i++) wrong.writeUInt8(wrong.readUInt8(i) ^ 0x5a, i)
    const file = join(folder, `wrong-${at}`)
    writeFileSync(file, wrong)
    expect([at, await refusal(restore(file, { replace: true }))]).toEqual([at, 'FLT_BACKUP_DAMAGED'])
  }
  expect(await refusal(restore(join(folder, 'none')))).toBe('FLT_BACKUP_MISSING')
  expect(idsIn(join(dataDir, 'core.db'))).toEqual(['one'])
  expect(readdirSync(dataDir).filter((name) => /restor/.test(name))).toEqual([])
})

test('a changed, added or missing file of an unpacked backup is named', async () => {
  await openStore()
  mkdirSync(join(dataDir, 'plugins/x'), { recursive: true })
  writeFileSync(join(dataDir, 'plugins/x/server.js'), 'good')
  const { path } = await backUp()
  const message = async (change: (copy: string) => unknown): Promise<string> => {
    const copy = await unpacked(path)
    await change(copy)
    const to = join(folder, 'empty')
    return restore(copy, { dataDir: to }).then(
      () => 'restored',
      (error: Error) => error.message,
    )
  }
  expect(await message((copy) => writeFileSync(join(copy, 'plugins/x/server.js'), 'evil'))).toMatch(
    /plugins\/x\/server\.js is not as it was made/,
  )
  expect(await message((copy) => writeFileSync(join(copy, 'plugins/more.js'), ''))).toMatch(/more\.js/)
  expect(await message((copy) => rm(join(copy, 'core.db')))).toMatch(/core\.db is missing/)
  expect(await message((copy) => rm(join(copy, manifestName)))).toMatch(/does not begin with backup\.json/)
  expect(await message((copy) => symlinkSync('/etc/passwd', join(copy, 'plugins/link')))).not.toBe('restored')
  // With hashes that fit, but without the master key nobody can sign the list.
  const forged = await message((copy) => {
    const content = 'evil'
    writeFileSync(join(copy, 'plugins/x/server.js'), content)
    const manifest = JSON.parse(readFileSync(join(copy, manifestName), 'utf8'))
    const sha256 = createHash('sha256').update(content).digest('hex')
    for (const file of manifest.files) if (file.path.endsWith('server.js')) file.sha256 = sha256
    writeFileSync(join(copy, manifestName), JSON.stringify(manifest))
  })
  expect(forged).toMatch(/somebody changed its list of files/)
})

test('paths that lead out of the backup are refused, even where they are signed', async () => {
  await openStore()
  const copy = await unpacked((await backUp()).path)
  for (const path of ['../evil', '/etc/evil', 'plugins/../../evil']) {
    const files = [{ path, bytes: 0, sha256: '0'.repeat(64) }]
    const contents = { format: 1, version: '1', madeAt: '', keyId: keyIdOf(masterKey), files }
    writeFileSync(join(copy, manifestName), writeManifest(contents, masterKey))
    expect(await refusal(restore(copy, { dataDir: join(folder, 'empty') }))).toBe('FLT_BACKUP_DAMAGED')
  }
})

test('a backup of another master key, of a later format or of a later database says which it is', async () => {
  const store = await openStore()
  const { path } = await backUp()
  const other = await openMasterKey(join(folder, 'other.key'))
  const elsewhere = { dataDir: join(folder, 'empty') }
  expect(await refusal(restore(path, { ...elsewhere, masterKey: other }))).toBe('FLT_BACKUP_KEY')
  const later = await unpacked(path)
  const manifest = JSON.parse(readFileSync(join(later, manifestName), 'utf8'))
  writeFileSync(join(later, manifestName), JSON.stringify({ ...manifest, format: backupFormat + 1, more: 1 }))
  expect(await refusal(restore(later, elsewhere))).toBe('FLT_BACKUP_VERSION')
  await store.write([
    { sql: 'insert into migrations (name, appliedAt) values (?, 1)', parameters: ['9999-of-the-future'] },
  ])
  const newer = await backUp(join(folder, 'newer.tar.gz'))
  expect(await refusal(restore(newer.path, elsewhere))).toBe('FLT_STORE_MIGRATION')
})

test('a damaged database is not backed up as if it were whole', async () => {
  const store = await openStore()
  const plugin = await store.openPlugin('notes', [notes])
  for (let n = 0; n < 500; n++)
    await plugin.write([{ sql: 'insert into notes (text) values (?)', parameters: ['x'.repeat(100)] }])
  await plugin.close()
  await closeAll()
  const file = join(dataDir, 'plugins-data/notes.db')
  const bytes = readFileSync(file)
  bytes.fill(0x55, 8192, 16384)
  writeFileSync(file, bytes)
  await openStore()
  expect(await refusal(backUp())).toBe('FLT_STORE_CORRUPT')
  expect(existsSync(join(folder, 'backup.tar.gz'))).toBe(false)
})

test('a restore that was interrupted is said, and can be done again', async () => {
  const { assertNotHalfRestored } = await import('./restore-backup.ts')
  const store = await openStore()
  await store.write([insert(store, 'one')])
  const { path } = await backUp()
  await closeAll()
  appendFileSync(join(dataDir, 'restore-in-progress'), '')
  expect(() => assertNotHalfRestored(dataDir)).toThrow(/interrupted/)
  await restore(path)
  expect(() => assertNotHalfRestored(dataDir)).not.toThrow()
  expect(idsIn(join(dataDir, 'core.db'))).toEqual(['one'])
})
