import { definePanel } from '@fleetupdate/sdk/panel'
import { reboot } from '../contract.ts'
import en from './messages/en.json'
import fr from './messages/fr.json'

export default definePanel(reboot, {
  title: 'title',
  icon: 'power',
  messages: { en, fr },
  slots: {
    'agent.card': () => import('./RebootCard.vue'),
    'fleet.action': () => import('./fleet-actions.ts'),
  },
})
