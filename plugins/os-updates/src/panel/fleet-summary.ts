import { defineFleetSummary } from '@fleetupdate/sdk/panel'

// "Cannot be told" has a colour of its own and is never counted as up to date.
export default defineFleetSummary([
  {
    filter: '!os-updates.outdated',
    label: 'current',
    hint: 'currentHint',
    icon: 'circle-check',
    tone: 'ok',
    order: 10,
  },
  {
    filter: 'os-updates.outdated',
    label: 'outdated',
    hint: 'outdatedHint',
    icon: 'circle-fading-arrow-up',
    tone: 'info',
    order: 20,
  },
  {
    filter: 'os-updates.security',
    label: 'security',
    hint: 'securityHint',
    icon: 'shield-alert',
    tone: 'danger',
    order: 30,
  },
  {
    filter: 'os-updates.rebootRequired',
    label: 'reboot',
    hint: 'rebootHint',
    icon: 'power',
    tone: 'warning',
    order: 40,
  },
  {
    filter: 'os-updates.outdated=null',
    label: 'unknown',
    hint: 'unknownHint',
    icon: 'circle-help',
    tone: 'unknown',
    order: 60,
  },
])
