import { defineFleetSummary } from '@fleetupdate/sdk/panel'

export default defineFleetSummary([
  {
    filter: 'agent-update.behind',
    label: 'behind',
    hint: 'behindHint',
    icon: 'circle-fading-arrow-up',
    tone: 'info',
    order: 80,
  },
  {
    filter: 'agent-update.rolledBack',
    label: 'rolledBack',
    hint: 'rolledBackHint',
    icon: 'rotate-ccw',
    tone: 'warning',
    order: 81,
  },
])
