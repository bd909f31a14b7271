import { definePanel } from '@fleetupdate/sdk/panel'
import { osUpdates } from '../contract.ts'
import en from './messages/en.json'
import fr from './messages/fr.json'

export default definePanel(osUpdates, {
  title: 'title',
  icon: 'package',
  messages: { en, fr },
  slots: {
    'agent.card': () => import('./UpdatesCard.vue'),
    'fleet.summary': () => import('./fleet-summary.ts'),
    'fleet.column': () => import('./fleet-columns.ts'),
    'fleet.action': () => import('./fleet-actions.ts'),
  },
})
