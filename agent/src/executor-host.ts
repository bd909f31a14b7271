import type { AnyContract, Executor, Log, Manifest } from '@fleetupdate/sdk'
import type { DeclaredPrivilege } from './privilege/privilege.ts'

/** One installed executor: usable, or failed with the reason. */
export interface HostedExecutor {
  readonly id: string
  readonly folder: string
  readonly version: string
  /** '' where the contract could not be loaded. */
  readonly contractHash: string
  readonly manifest: Manifest | undefined
  readonly executor: Executor | undefined
  readonly contract: AnyContract | undefined
  readonly reason: string | undefined
  /** Why it may run here, or not. */
  readonly trust: 'built-in' | 'signed' | 'unsigned' | 'modified' | 'refused'
  /** Who signed it, by the name in the trust file. */
  readonly publisher?: string
  /** Set for all that are not built in: they run in processes of their own. */
  readonly isolated?: { readonly bundle?: string; readonly entrySha256?: string }
}

/** From where an executor came, in the order in which one wins over another of the same id. */
export type Origin = 'built-in' | 'delivered' | 'folder'

/** The executors of this agent. Built-in ones never change; the others may at any time. */
export interface ExecutorHost {
  readonly all: readonly HostedExecutor[]
  find(id: string): HostedExecutor | undefined
  /** Every privilege that the installed executors declare. */
  readonly privileges: readonly DeclaredPrivilege[]
  /** Replaces all executors of an origin; tells those who listen where that changed anything. */
  replace(origin: Exclude<Origin, 'built-in'>, executors: readonly HostedExecutor[]): void
  onChange(handler: () => void): void
}

const order: readonly Origin[] = ['built-in', 'delivered', 'folder']

/** A host that has these built-in executors. */
export function createExecutorHost(builtIn: readonly HostedExecutor[], log: Log): ExecutorHost {
  const origins = new Map<Origin, readonly HostedExecutor[]>([['built-in', builtIn]])
  const handlers: (() => void)[] = []
  let current = builtIn

  /** A usable one wins over one that is not, except that nothing wins over what is built in. */
  const merge = (): readonly HostedExecutor[] => {
    const found = new Map<string, HostedExecutor>()
    for (const origin of order)
      for (const one of origins.get(origin) ?? []) {
        const first = found.get(one.id)
        const isBetter = first && first.trust !== 'built-in' && !first.executor && one.executor !== undefined
        if (!first || isBetter) found.set(one.id, one)
      }
    return [...found.values()]
  }
  return {
    get all() {
      return current
    },
    find: (id) => current.find((one) => one.id === id),
    get privileges() {
      return current.flatMap(({ id, manifest, isolated, executor }) =>
        isolated && (isolated.bundle === undefined || !executor)
          ? []
          : (manifest?.privileges ?? []).map((privilege) => ({
              plugin: id,
              privilege,
              ...(isolated ? { bundle: isolated.bundle } : {}),
            })),
      )
    },
    replace(origin, executors) {
      origins.set(origin, executors)
      const merged = merge()
      const isSame = merged.length === current.length && merged.every((one, at) => one === current[at])
      if (isSame) return
      for (const { id, version, trust, reason } of merged.filter((one) => !current.includes(one)))
        log.info(`Executor ${id}`, { version, trust, health: reason ?? 'ok' })
      current = merged
      for (const handler of handlers) handler()
    },
    onChange: (handler) => void handlers.push(handler),
  }
}
