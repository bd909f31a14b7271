import { definePanel } from '@fleetupdate/sdk/panel'
import { legacyAgents } from '../contract.ts'
import en from './messages/en.json'
import fr from './messages/fr.json'

export default definePanel(legacyAgents, {
  title: 'title',
  icon: 'shield-alert',
  messages: { en, fr },
  slots: {
    page: () => import('./OldAgentsPage.vue'),
    'agent.header': () => import('./WeakBadge.vue'),
    'fleet.column': () => import('./fleet-columns.ts'),
    'fleet.summary': () => import('./fleet-summary.ts'),
  },
})
