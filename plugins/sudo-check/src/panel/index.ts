import { definePanel } from '@fleetupdate/sdk/panel'
import { sudoCheck } from '../contract.ts'
import en from './messages/en.json'
import fr from './messages/fr.json'

export default definePanel(sudoCheck, {
  title: 'title',
  icon: 'key-round',
  messages: { en, fr },
  slots: {
    'agent.header': () => import('./PrivilegeAlert.vue'),
    'fleet.summary': () => import('./fleet-summary.ts'),
    'fleet.action': () => import('./fleet-actions.ts'),
  },
})
