import { definePlugin } from '@fleetupdate/sdk'
import { myPlugin } from './contract.ts'

export default definePlugin(myPlugin, ({ onFacts, notify }) => {
  onFacts(({ agentId, facts: { usedPercent = 0 } }) => {
    if (usedPercent >= 90)
      notify({ level: 'warning', title: `The disk of ${agentId} is ${usedPercent} % full`, agentId })
  })
})
