import type { Updates } from '@fleetupdate/plugin-os-updates/contract'
import type { FactCollector, FactContext } from '@fleetupdate/sdk/executor'
import { aptFingerprint, indexRefreshedAt } from './apt-index.ts'
import { pendingPackages } from './pending.ts'
import { parsePolicies, parseReleases } from './policy.ts'
import { parseUpgradeList } from './upgrade-list.ts'

type Answer = Pick<Updates, 'pending' | 'omitted'>

const maximumListed = 2000
const oldIndexMs = 7 * 24 * 3600 * 1000
const retryMs = 10 * 60 * 1000

/**
 * Makes the collector of the fact `updates`. apt runs only when something it depends on has changed (about 0.6 s of CPU);
 * else the last answer stands. A failure is an error of the fact, and asked again after ten minutes or a change.
 */
export function createUpdatesCollector(now: () => number = Date.now): FactCollector<Updates> {
  let last: { fingerprint: string; answer?: Answer; error?: unknown; at: number } | undefined

  async function answer(context: FactContext): Promise<Answer> {
    const fingerprint = await aptFingerprint(context.root)
    const known = last?.fingerprint === fingerprint ? last : undefined
    if (known?.answer !== undefined) return known.answer
    if (known !== undefined && now() - known.at < retryMs) throw known.error
    try {
      const fresh = await askApt(context)
      last = { fingerprint, answer: fresh, at: now() }
      return fresh
    } catch (error) {
      if (!context.signal.aborted) last = { fingerprint, error, at: now() }
      throw error
    }
  }

  return async (context) => {
    if (!(await context.exists('/usr/bin/apt-get'))) {
      throw new Error('This host has no apt; os-updates can only read apt. Remove the executor here.')
    }
    const refreshed = await indexRefreshedAt(context.root)
    const problem = indexProblem(refreshed, now())
    return {
      manager: 'apt',
      refreshedAt: refreshed?.toISOString() ?? null,
      ...(await answer(context)),
      ...(problem === undefined ? {} : { problem }),
    }
  }
}

async function askApt({ run }: FactContext): Promise<Answer> {
  const simulated = await run('apt-get', [
    '--simulate',
    '--verbose-versions',
    '-o',
    'APT::Get::Show-User-Simulation-Note=false',
    'upgrade',
  ])
  const upgradable = parseUpgradeList(simulated.stdout)
  if (upgradable.length === 0) return { pending: [] }
  const names = upgradable.map((item) => item.name)
  const [held, releases, policies] = [
    await run('apt-mark', ['showhold']),
    await run('apt-cache', ['policy']),
    await run('apt-cache', ['policy', '--', ...names]),
  ]
  return limited(
    pendingPackages({
      upgradable,
      held: new Set(held.stdout.split('\n').filter((line) => line !== '')),
      releases: parseReleases(releases.stdout),
      policies: parsePolicies(policies.stdout),
    }),
  )
}

function limited(pending: Updates['pending']): Answer {
  if (pending.length <= maximumListed) return { pending }
  const order = [...pending.filter((item) => item.security), ...pending.filter((item) => !item.security)]
  return { pending: order.slice(0, maximumListed), omitted: pending.length - maximumListed }
}

function indexProblem(refreshed: Date | undefined, nowMs: number): string | undefined {
  if (refreshed === undefined) return 'The package index was never fetched. Run os-updates.refresh.'
  if (nowMs - refreshed.getTime() < oldIndexMs) return undefined
  const day = refreshed.toISOString().slice(0, 10)
  return `Not every repository has been fetched since ${day}; there may be more updates. Run os-updates.refresh.`
}
