import type { PendingPackage } from '@fleetupdate/plugin-os-updates/contract'
import type { OfferedVersion, Release } from './policy.ts'
import type { Upgradable } from './upgrade-list.ts'

/** Everything apt was asked for one answer. */
export interface AptAnswers {
  readonly upgradable: readonly Upgradable[]
  readonly held: ReadonlySet<string>
  readonly releases: ReadonlyMap<string, Release>
  readonly policies: ReadonlyMap<string, readonly OfferedVersion[]>
}

/** Puts apt's answers together: every upgradable package with its origin and its state, by name. */
export function pendingPackages(answers: AptAnswers): PendingPackage[] {
  return answers.upgradable
    .map((item) => pendingPackage(item, answers))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

function pendingPackage(item: Upgradable, { held, releases, policies }: AptAnswers): PendingPackage {
  const newer = newerVersions(policies.get(item.name) ?? [], item.candidate)
  const candidate = newer.find((version) => version.version === item.candidate)
  const origins = (candidate?.sources ?? []).flatMap((source) => releases.get(source) ?? [])
  const isHeld = held.has(item.name)
  return {
    name: item.name,
    current: item.current,
    candidate: item.candidate,
    origin: origins.find((release) => release.label !== '')?.label ?? '',
    security: newer.some((version) => version.sources.some((source) => releases.get(source)?.security)),
    held: isHeld,
    // A phased version that apt takes has reached this host; one that the operator holds is held first of all.
    phased: !isHeld && (item.fate === 'deferred' || (item.fate === 'kept' && candidate?.phased === true)),
  }
}

/** From the candidate down to, and without, the installed version: a fix that a later update superseded is pending as well. */
function newerVersions(versions: readonly OfferedVersion[], candidate: string): readonly OfferedVersion[] {
  const first = versions.findIndex((version) => version.version === candidate)
  if (first === -1) return []
  const installed = versions.findIndex((version) => version.installed)
  return versions.slice(first, installed === -1 ? first + 1 : installed)
}
