import { randomBytes } from 'node:crypto'
import Fastify, { type FastifyInstance, type InjectOptions, type LightMyRequestResponse } from 'fastify'
import { type Audit, createAudit } from '../../audit/create-audit.ts'
import { auditMigrations } from '../../audit/migrations.ts'
import { registerErrorHandler } from '../../http/error-handler.ts'
import { mountRoutes } from '../../http/mount-routes.ts'
import { registerJsonBodies } from '../../http/raw-body.ts'
import type { Route } from '../../http/routes.ts'
import type { Store } from '../../store/store.ts'
import { openTestStore } from '../../store/testing/test-store.ts'
import { createPeople, type People, type PeopleOptions } from '../create-people.ts'
import { peopleMigrations } from '../migrations.ts'
import { createSealer } from '../sealer.ts'

/** People on a real store behind a real Fastify app, with a clock that tests can move. */
export interface TestPeople {
  readonly store: Store
  readonly app: FastifyInstance
  readonly people: People
  readonly key: Buffer
  /** Moves the clock on. */
  wait(ms: number): void
  inject(options: InjectOptions): Promise<LightMyRequestResponse>
  logIn(password: string, more?: InjectOptions & { username?: string }): Promise<LightMyRequestResponse>
  /** Starts again on the same data with other settings, or another master key. */
  restart(config?: Partial<PeopleOptions['config']>, key?: Buffer): Promise<void>
  dispose(): Promise<void>
}

const silent = (): void => undefined
const log = { debug: silent, info: silent, warn: silent, error: silent }

const extra: Route = {
  method: 'POST',
  path: '/api/test/admin',
  rule: { role: 'admin' },
  summary: 'For tests: something only an admin may do',
  handle: ({ subject }) => ({ name: subject.name }),
}

/** Starts people with these settings; by default `admin` with the password `right-password`. */
export async function startTestPeople(settings: Partial<PeopleOptions['config']> = {}): Promise<TestPeople> {
  const testStore = await openTestStore({ migrations: [peopleMigrations, auditMigrations] })
  let key = randomBytes(32)
  let passed = 0
  let app = Fastify()
  let people: People
  let audit: Audit | undefined
  let abort = new AbortController()
  const start = async (config: Partial<PeopleOptions['config']>): Promise<void> => {
    abort = new AbortController()
    audit = await createAudit({ store: testStore.store, masterKey: key, checkpoints: undefined, log })
    people = await createPeople({
      store: testStore.store,
      sealer: createSealer(key),
      audit,
      config: {
        uiUser: 'admin',
        uiPassword: 'right-password',
        uiPasswordHash: undefined,
        jwtSecret: undefined,
        publicUrls: [],
        corsOrigins: [],
        ...config,
      },
      signal: abort.signal,
      onSweepError: (error) => {
        throw error
      },
      now: () => Date.now() + passed,
    })
    app = Fastify()
    registerJsonBodies(app)
    registerErrorHandler(app, (error) => {
      throw error
    })
    mountRoutes(app, [...people.routes, extra], people.authenticate)
  }
  const stop = async (): Promise<void> => {
    abort.abort()
    await app.close()
    await audit?.dispose()
  }
  await start(settings)
  const inject = (options: InjectOptions) => app.inject(options)
  return {
    store: testStore.store,
    get app() {
      return app
    },
    get people() {
      return people
    },
    get key() {
      return key
    },
    wait(ms) {
      passed += ms
    },
    inject,
    logIn(password, { username = 'admin', ...more } = {}) {
      return inject({ method: 'POST', url: '/api/auth/login', payload: { username, password }, ...more })
    },
    async restart(config = settings, newKey = key) {
      await stop()
      key = Buffer.from(newKey)
      await start(config)
    },
    async dispose() {
      await stop()
      await testStore.dispose()
    },
  }
}
