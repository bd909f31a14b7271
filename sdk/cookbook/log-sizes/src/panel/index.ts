import { definePanel } from '@fleetupdate/sdk/panel'
import { logSizes } from '../contract.ts'
import en from './messages/en.json'
import fr from './messages/fr.json'

export default definePanel(logSizes, {
  title: 'title',
  icon: 'scroll-text',
  messages: { en, fr },
  // #region slots
  slots: {
    'agent.card': () => import('./SizeCard.vue'), // a component, given `agent`
    'agent.tab': () => import('./GrowthTab.vue'), // a component, given `agent`
    'agent.header': () => import('./LargeBadge.vue'), // a component, given `agent`
    'command.detail': () => import('./MeasuredDetail.vue'), // a component, given `command`
    page: () => import('./LargestPage.vue'), // a component, at /panels/log-sizes
    'fleet.column': () => import('./fleet-columns.ts'), // lists, see below
    'fleet.summary': () => import('./fleet-summary.ts'),
    'fleet.action': () => import('./fleet-actions.ts'),
  },
  // #endregion
})
