import 'reflect-metadata'
import type { Log } from '@fleetupdate/sdk'
import { container, type InjectionToken, instanceCachingFactory } from 'tsyringe'
import type { ServerConfig } from './config.ts'
import { createEventBus, type EventBus } from './events/bus.ts'
import { createLiveHub, type LiveHub } from './events/live.ts'
import { coreMigrations } from './store/core-migrations.ts'
import { createStore } from './store/create-store.ts'
import type { Store } from './store/store.ts'

/** The engines a server stands on. Others (PostgreSQL, NATS) are chosen here and nowhere else. */
export interface Engines {
  readonly store: Promise<Store>
  readonly bus: EventBus
  readonly live: LiveHub
}

/**
 * Registers the engines that the configuration asks for and resolves them, each built once, when it is first asked for. Tokens are
 * made per call, so that several servers can live in one process.
 */
export function createEngines(
  config: ServerConfig,
  deps: { readonly log: Log; onFatal(error: unknown): void },
): Engines {
  const report = (error: unknown, where = 'live'): void =>
    deps.log.error(`A handler of "${where}" failed`, { error: String(error) })
  const tokens = {
    store: Symbol('store') as InjectionToken<Promise<Store>>,
    bus: Symbol('bus') as InjectionToken<EventBus>,
    live: Symbol('live') as InjectionToken<LiveHub>,
  }
  // A plain useFactory would build a new instance per resolve: two writers.
  container.register(tokens.store, {
    useFactory: instanceCachingFactory(() =>
      createStore({
        dir: config.dataDir,
        migrations: coreMigrations,
        onFatal: deps.onFatal,
      }),
    ),
  })
  container.register(tokens.bus, { useFactory: instanceCachingFactory(() => createEventBus(report)) })
  container.register(tokens.live, { useFactory: instanceCachingFactory(() => createLiveHub(report)) })
  return {
    get store() {
      return container.resolve(tokens.store)
    },
    get bus() {
      return container.resolve(tokens.bus)
    },
    get live() {
      return container.resolve(tokens.live)
    },
  }
}
