import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { pendingPackages } from './pending.ts'
import { parsePolicies, parseReleases } from './policy.ts'
import { parseUpgradeList } from './upgrade-list.ts'

const recorded = (name: string, file: string) =>
  readFileSync(new URL(`../fixtures/${name}/${file}`, import.meta.url), 'utf8')

function pending(name: string) {
  return pendingPackages({
    upgradable: parseUpgradeList(recorded(name, 'upgrade.txt')),
    held: new Set(recorded(name, 'showhold.txt').split('\n')),
    releases: parseReleases(recorded(name, 'releases.txt')),
    policies: parsePolicies(recorded(name, 'policies.txt')),
  })
}

/** Name, candidate and installed version of each line of `apt list --upgradable`. */
function listedByApt(name: string): string[][] {
  const lines = recorded(name, 'list.txt').matchAll(/^([^/\s]+)\/\S+ (\S+) \S+ \[upgradable from: (\S+)\]$/gm)
  return [...lines].map((match) => match.slice(1))
}

describe('pending packages from recorded answers of apt', () => {
  it.each(['bookworm-current', 'bookworm-host', 'bookworm-mixed', 'trixie-current', 'trixie-mixed'])(
    'equal the golden file, and what "apt list --upgradable" said in the same minute (%s)',
    (name) => {
      const found = pending(name)
      expect(found).toEqual(JSON.parse(recorded(name, 'expected.json')))
      expect(found.map((item) => [item.name, item.candidate, item.current]).sort()).toEqual(
        listedByApt(name).sort(),
      )
    },
  )

  it.each(['bookworm-mixed', 'trixie-mixed'])(
    'tell held, phased and superseded security apart (%s)',
    (name) => {
      const found = pending(name)
      const where = (wanted: 'held' | 'phased' | 'security') =>
        found.filter((item) => item[wanted]).map((item) => item.name)
      expect(where('held')).toEqual(['fleet-held'])
      expect(where('phased')).toEqual(['fleet-phased'])
      expect(where('security')).toEqual(['fleet-held', 'fleet-new', 'fleet-super'])
    },
  )
})

describe("apt's summary", () => {
  it.each(['', 'Reading package lists...\n', '118 mis à jour\n'])(
    'is refused where it is none: %j',
    (text) => {
      expect(() => parseUpgradeList(text)).toThrow(/not understood/)
    },
  )

  it('is refused where it counts more packages than it names', () => {
    expect(() =>
      parseUpgradeList('0 upgraded, 0 newly installed, 0 to remove and 3 not upgraded.\n'),
    ).toThrow()
  })
})

describe('the release of a repository', () => {
  const release = (line: string) =>
    parseReleases(`Package files:\n 500 file:/a ./ Packages\n     release ${line}\nPinned packages:\n`).get(
      'file:/a ./ Packages',
    )

  it.each([
    ['o=Ubuntu,a=jammy-security,n=jammy,l=Ubuntu,c=main', true],
    ['o=Debian,a=oldstable,n=buster,l=Debian-Security,c=updates/main', true],
    ['o=UbuntuESMApps,a=jammy-apps-security,n=jammy,l=UbuntuESMApps', true],
    ['o=Ubuntu,a=jammy-updates,n=jammy,l=Ubuntu,c=main', false],
    ['o=Acme,a=stable,n=x,l=Insecurity', false],
  ])('is about security or not: %s', (line, security) => {
    expect(release(line)?.security).toBe(security)
  })

  it('keeps a label with a comma whole', () => {
    expect(release('o=LP-PPA,a=jammy,n=jammy,l=Ours, and yours,c=main')?.label).toBe('Ours, and yours')
  })
})
