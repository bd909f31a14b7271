import { definePanel } from '@fleetupdate/sdk/panel'
import { services } from '../contract.ts'
import en from './messages/en.json'
import fr from './messages/fr.json'

export default definePanel(services, {
  title: 'title',
  icon: 'server-cog',
  messages: { en, fr },
  slots: {
    'agent.card': () => import('./ServicesCard.vue'),
    'fleet.summary': () => import('./fleet-summary.ts'),
  },
})
