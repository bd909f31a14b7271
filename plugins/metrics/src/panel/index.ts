import { definePanel } from '@fleetupdate/sdk/panel'
import en from './messages/en.json'
import fr from './messages/fr.json'

export default definePanel(
  { id: 'metrics' },
  {
    title: 'title',
    icon: 'activity',
    messages: { en, fr },
    slots: {
      'agent.tab': () => import('./MetricsTab.vue'),
      'fleet.column': () => import('./fleet-columns.ts'),
    },
  },
)
