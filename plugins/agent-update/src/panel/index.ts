import { definePanel } from '@fleetupdate/sdk/panel'
import en from './messages/en.json'
import fr from './messages/fr.json'

export default definePanel(
  { id: 'agent-update' },
  {
    title: 'title',
    icon: 'circle-fading-arrow-up',
    messages: { en, fr },
    slots: {
      page: () => import('./RolloutPage.vue'),
      'fleet.summary': () => import('./fleet-summary.ts'),
      'fleet.action': () => import('./fleet-actions.ts'),
    },
  },
)
