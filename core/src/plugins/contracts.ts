import { fleetError } from '../errors.ts'
import type { CompiledContract } from './compile-contract.ts'
import type { ContractRegistry } from './registry.ts'

export interface LiveContracts extends ContractRegistry {
  add(compiled: CompiledContract): void
  remove(plugin: string): void
  all(): readonly CompiledContract[]
}

/** The contracts of active plugins. `inactiveReason` tells why an installed plugin is not among them. */
export function createContracts(inactiveReason: (plugin: string) => string | undefined): LiveContracts {
  const active = new Map<string, CompiledContract>()
  const handlers = new Set<(plugin: string) => void>()
  const changed = (plugin: string): void => {
    for (const handler of handlers) handler(plugin)
  }
  return {
    add(compiled) {
      active.set(compiled.contract.id, compiled)
      changed(compiled.contract.id)
    },
    remove(plugin) {
      if (active.delete(plugin)) changed(plugin)
    },
    all: () => [...active.values()],
    contract: (plugin) => active.get(plugin)?.contract,
    command(name) {
      const dot = name.indexOf('.')
      const plugin = name.slice(0, Math.max(dot, 0))
      const found = active.get(plugin)?.commands.get(name.slice(dot + 1))
      if (found) return found
      const reason = active.has(plugin) ? undefined : inactiveReason(plugin)
      if (reason !== undefined) throw fleetError('FLT_PLUGIN_UNAVAILABLE', { id: plugin, reason })
      throw fleetError('FLT_COMMAND_UNKNOWN', { command: name.slice(0, 130) })
    },
    facetNames() {
      const names = new Map<string, { qualified: string }>()
      const shared = new Set<string>()
      for (const { contract } of active.values())
        for (const short of Object.keys(contract.contract.facets)) {
          const qualified = `${contract.id}.${short}`
          names.set(qualified, { qualified })
          if (names.has(short)) shared.add(short)
          names.set(short, { qualified })
        }
      for (const short of shared) names.delete(short)
      return names
    },
    onChange(handler) {
      handlers.add(handler)
      return () => handlers.delete(handler)
    },
  }
}
