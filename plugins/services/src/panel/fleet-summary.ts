import { defineFleetSummary } from '@fleetupdate/sdk/panel'

export default defineFleetSummary([
  {
    filter: 'services.failed',
    label: 'failed',
    hint: 'failedHint',
    icon: 'circle-x',
    tone: 'danger',
    order: 50,
  },
])
