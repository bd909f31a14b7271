import { definePanel } from '@fleetupdate/sdk/panel'
import en from './messages/en.json'
import fr from './messages/fr.json'

export default definePanel(
  { id: 'apt-upgrade' },
  {
    title: 'title',
    icon: 'circle-fading-arrow-up',
    messages: { en, fr },
    slots: {
      page: () => import('./UpgradePage.vue'),
      'command.detail': () => import('./UpgradeDetail.vue'),
      'fleet.action': () => import('./fleet-actions.ts'),
    },
  },
)
