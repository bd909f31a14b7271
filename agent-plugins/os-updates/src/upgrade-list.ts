/** One line of apt's summary: a package that has a newer version. */
export interface Upgradable {
  readonly name: string
  readonly current: string
  readonly candidate: string
  /** `taken` by a plain upgrade now, `kept` back (held, not resolvable or phased), or `deferred` due to phasing. */
  readonly fate: 'taken' | 'kept' | 'deferred'
}

const fates: Readonly<Record<string, Upgradable['fate']>> = {
  'The following packages will be upgraded:': 'taken',
  'The following packages have been kept back:': 'kept',
  'The following upgrades have been deferred due to phasing:': 'deferred',
}

/**
 * Reads the summary of `apt-get --simulate --verbose-versions upgrade` (English): every upgradable package, once. Lines of other
 * sections (new packages, suggestions, notes) are passed over. Throws where the packages found are fewer than apt's own count at
 * the end: an answer that was not understood must not look like "nothing pending".
 */
export function parseUpgradeList(text: string): readonly Upgradable[] {
  const found = new Map<string, Upgradable>()
  let fate: Upgradable['fate'] | undefined
  for (const line of text.split('\n')) {
    if (!line.startsWith(' ')) {
      fate = fates[line.trimEnd()]
      continue
    }
    const [, name, current, candidate] = /^ +(\S+) \((\S+) => (\S+)\)/.exec(line) ?? []
    if (fate === undefined || name === undefined || current === undefined || candidate === undefined) continue
    found.set(name, { name, current, candidate, fate })
  }
  const items = [...found.values()]
  const [, upgraded, kept] = /^(\d+) upgraded, .* and (\d+) not upgraded\.$/m.exec(text) ?? []
  if (upgraded === undefined || items.length < Number(upgraded) + Number(kept)) {
    throw new Error(
      'The answer of apt-get was not understood; compare "apt-get --simulate upgrade" on the host.',
    )
  }
  return items
}
