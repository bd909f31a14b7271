import type { CommandContext } from '@fleetupdate/sdk/executor'
import type { Simulation } from './simulation.ts'

/** What is left of the packages that were to be upgraded. */
export interface Narrowed {
  readonly names: readonly string[]
  /** Left out because the owner of the machine excludes them, or something that would come along with them. */
  readonly leftOut: readonly string[]
}

/**
 * Takes out what the machine's policy excludes, and whatever would bring it along: halves the names until each half is free of it. What an
 * operation without excluded packages costs is one simulation.
 */
export async function withoutExcluded(
  names: readonly string[],
  context: CommandContext,
  simulateNames: (names: readonly string[]) => Promise<Simulation>,
): Promise<Narrowed> {
  const isExcluded = await Promise.all(names.map((name) => context.excludes(name)))
  const wanted = names.filter((_, index) => !isExcluded[index])
  const free = await largestFree(wanted)
  return { names: free, leftOut: names.filter((name) => !free.includes(name)) }

  async function largestFree(part: readonly string[]): Promise<readonly string[]> {
    if (part.length === 0) return part
    const { changes } = await simulateNames(part)
    const found = await Promise.all(changes.map(({ name }) => context.excludes(name)))
    if (!found.includes(true)) return part
    if (part.length === 1) return []
    const middle = Math.ceil(part.length / 2)
    const halves = [await largestFree(part.slice(0, middle)), await largestFree(part.slice(middle))].flat()
    // Two halves that are free may need something together that neither needs alone.
    return halves.length < part.length ? largestFree(halves) : []
  }
}
