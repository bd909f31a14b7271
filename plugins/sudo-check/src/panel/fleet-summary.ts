import { defineFleetSummary } from '@fleetupdate/sdk/panel'

export default defineFleetSummary([
  {
    filter: '!sudo-check.ok',
    label: 'missing',
    hint: 'missingHint',
    icon: 'key-round',
    tone: 'warning',
    order: 70,
  },
])
