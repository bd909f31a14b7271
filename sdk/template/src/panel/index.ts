import { definePanel } from '@fleetupdate/sdk/panel'
import { myPlugin } from '../contract.ts'
import en from './messages/en.json'
import fr from './messages/fr.json'

export default definePanel(myPlugin, {
  title: 'title',
  icon: 'hard-drive',
  messages: { en, fr },
  slots: { 'agent.card': () => import('./PluginCard.vue') },
})
