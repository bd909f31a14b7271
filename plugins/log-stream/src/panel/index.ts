import { definePanel } from '@fleetupdate/sdk/panel'
import en from './messages/en.json'
import fr from './messages/fr.json'

export default definePanel(
  { id: 'log-stream' },
  {
    title: 'title',
    icon: 'scroll-text',
    messages: { en, fr },
    slots: { 'agent.tab': () => import('./LogsTab.vue') },
  },
)
