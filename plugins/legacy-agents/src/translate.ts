import type { GatewayOffer, GatewayResult } from '@fleetupdate/sdk'
import type { Result } from './wire.ts'

export type Translated = { readonly word: 'apt_upgrade' | 'sudo_check' } | { readonly refusal: string }

/** The word by which an old agent knows a command, or why it cannot do it. */
export function translate({ command, input }: Pick<GatewayOffer, 'command' | 'input'>): Translated {
  if (command === 'sudo-check.check') return { word: 'sudo_check' }
  if (command !== 'apt-upgrade.run')
    return { refusal: `An agent of the first FleetUpdate has no ${command}. Replace it by a new agent.` }
  const mode = typeof input === 'object' && input !== null && 'mode' in input ? input.mode : undefined
  return mode === 'all'
    ? { word: 'apt_upgrade' }
    : {
        refusal:
          'An agent of the first FleetUpdate upgrades everything or nothing: choose "all", or replace it.',
      }
}

/** How an old agent's word for the end of a command reads here. */
export function stateOf(status: Result['status']): GatewayResult['state'] {
  const word = String(status).toLowerCase()
  if (/^(success|succeeded|ok|done|completed|true|0)$/.test(word)) return 'succeeded'
  return /^(timeout|timed_out|timed out)$/.test(word) ? 'timed_out' : 'failed'
}
