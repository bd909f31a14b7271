import type { TestFleet } from '@fleetupdate/sdk/testing'
import { type Attempt, type Outcome, type WireHost, wireHost } from './wire-hosts.ts'

/** A host with an installed agent, which tries releases as the real one does: it says how it goes, comes back as the new version, or as the old one. */
export interface ReleaseHost {
  readonly host: WireHost
  /** Why the next release does not come up here; undefined: it does. */
  fault: string | undefined
  /** While it is set, a trial waits for it. */
  hold: Promise<void> | undefined
  installed(): string
}

export async function releaseHost(
  fleet: TestFleet,
  id: string,
  { installed, offered }: { readonly installed: string; readonly offered: string },
): Promise<ReleaseHost> {
  let [now, before] = [installed, null as string | null]
  const tell = (last: object | null = null): void =>
    host.tell('agent-update', {
      release: { installed: now, offered, newer: now !== offered, hindrance: null, before, last },
    })
  const act = async ({ offer, write, progress }: Attempt): Promise<Outcome> => {
    const to = offer.command === 'back' ? (before ?? now) : offered
    const from = now
    write(`Trying ${to}; ${from} comes back if the server does not let it in.\n`)
    progress(30, `Trying ${to}`)
    await self.hold
    const at = new Date().toISOString()
    if (self.fault !== undefined && to === offered) {
      tell({ from, to, result: 'rolled-back', at, reason: self.fault })
      return { state: 'failed', reason: `Back to ${from}: ${self.fault}` }
    }
    ;[now, before] = [to, from]
    await host.rejoin(to)
    tell({ from, to, result: 'updated', at })
    return { state: 'succeeded', result: { from, to } }
  }
  const host = await wireHost(fleet, id, act, { agentVersion: installed })
  const self: ReleaseHost = { host, fault: undefined, hold: undefined, installed: () => now }
  tell()
  return self
}
