import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Migration } from '../contract/plugin.ts'
import type { Rule } from './rule.ts'
import type { Subject } from './subject.ts'

interface Locked {
  readonly name: string
  /** Of the SQL it runs on an empty database, hex. */
  readonly sha256: string
}

const lockFile = 'migrations.lock.json'

/** Migrations that once were released are never changed: others are in databases already. */
export const migrationRule: Rule = {
  name: 'migrations-append-only',
  async problems(subject) {
    const locked = await readLock(subject.folder)
    const now = await hashAll(subject.migrations)
    const problems: string[] = []
    for (const [index, { name, sha256 }] of locked.entries()) {
      const current = now[index]
      if (current?.name !== name)
        problems.push(`the migration "${name}" was released as number ${index + 1}; put it back there`)
      else if (current.sha256 !== sha256)
        problems.push(
          `the migration "${name}" was changed after its release; put it back, and append a new one`,
        )
    }
    for (const { name } of now.slice(locked.length))
      problems.push(`the migration "${name}" is new; run: npx fleetupdate plugin check --lock-migrations`)
    return problems
  },
}

/** Writes what stands now into the lock file, if it only adds to it. Answers the names that are new. */
export async function lockMigrations(subject: Subject): Promise<readonly string[]> {
  const locked = await readLock(subject.folder)
  const now = await hashAll(subject.migrations)
  const kept = locked.every((entry, i) => now[i]?.name === entry.name && now[i]?.sha256 === entry.sha256)
  if (!kept || now.length === locked.length) return []
  await writeFile(join(subject.folder, lockFile), `${JSON.stringify(now, null, 2)}\n`)
  return now.slice(locked.length).map(({ name }) => name)
}

async function readLock(folder: string): Promise<readonly Locked[]> {
  const text = await readFile(join(folder, lockFile), 'utf8').catch(() => '[]')
  const value: unknown = JSON.parse(text)
  if (!Array.isArray(value))
    throw new Error(`${join(folder, lockFile)} is not a list. Take it from version control.`)
  return value.map((entry) => ({ name: String(entry?.name), sha256: String(entry?.sha256) }))
}

async function hashAll(migrations: readonly Migration[]): Promise<readonly Locked[]> {
  if (migrations.length === 0) return []
  const { DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } = await import(
    'kysely'
  )
  return Promise.all(
    migrations.map(async ({ name, up }) => {
      const hash = createHash('sha256')
      const db = new Kysely<unknown>({
        dialect: {
          createAdapter: () => new SqliteAdapter(),
          createDriver: () => new DummyDriver(),
          createIntrospector: (own) => new SqliteIntrospector(own),
          createQueryCompiler: () => new SqliteQueryCompiler(),
        },
        log: ({ query }) => void hash.update(`${query.sql}\0${JSON.stringify(query.parameters)}\0`),
      })
      await up(db)
      return { name, sha256: hash.digest('hex') }
    }),
  )
}
