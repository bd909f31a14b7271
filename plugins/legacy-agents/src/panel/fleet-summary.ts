import { defineFleetSummary } from '@fleetupdate/sdk/panel'

export default defineFleetSummary([
  {
    filter: 'legacy-agents.weak',
    label: 'weakShort',
    hint: 'weakHint',
    icon: 'shield-alert',
    tone: 'warning',
    order: 90,
  },
])
