export interface Dependent {
  readonly id: string
  readonly dependsOn: readonly string[]
}

export interface Ordered {
  /** Ids so that each comes after all it depends on. */
  readonly order: readonly string[]
  /** Id → why it can't be started: a missing dependency, or a circle. */
  readonly refused: ReadonlyMap<string, string>
}

/** Sorts plugins by their dependencies. Pure; what can't be ordered is refused with a sentence, the rest stands. */
export function orderPlugins(plugins: readonly Dependent[]): Ordered {
  const known = new Map(plugins.map((plugin) => [plugin.id, plugin]))
  const order: string[] = []
  const refused = new Map<string, string>()

  const visit = (id: string, path: readonly string[]): boolean => {
    if (order.includes(id)) return true
    if (refused.has(id)) return false
    const circle = path.indexOf(id)
    if (circle >= 0) {
      const members = path.slice(circle)
      for (const member of members)
        refused.set(member, `it depends on itself in a circle: ${[...members, id].join(' → ')}`)
      return false
    }
    const plugin = known.get(id)
    if (!plugin) return false
    for (const needed of plugin.dependsOn) {
      if (visit(needed, [...path, id])) continue
      if (!refused.has(id))
        refused.set(
          id,
          known.has(needed)
            ? `it needs "${needed}", which can't be started`
            : `it needs "${needed}", which is not installed`,
        )
      return false
    }
    order.push(id)
    return true
  }
  for (const { id } of plugins) visit(id, [])
  return { order, refused }
}
