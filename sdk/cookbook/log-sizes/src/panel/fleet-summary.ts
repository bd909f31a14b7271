import { defineFleetSummary } from '@fleetupdate/sdk/panel'

export default defineFleetSummary([
  {
    filter: 'log-sizes.large',
    label: 'large',
    hint: 'largeHint',
    icon: 'scroll-text',
    tone: 'warning',
    order: 60,
  },
])
