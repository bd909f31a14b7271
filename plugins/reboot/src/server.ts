import { definePlugin } from '@fleetupdate/sdk'
import { createBoots } from './boots.ts'
import { reboot } from './contract.ts'
import { migrations } from './tables.ts'

export default definePlugin(reboot, {
  migrations,
  setup({ db, http, onFacts, notify }) {
    const boots = createBoots(db)
    onFacts(async ({ agentId, facts: { state } }) => {
      const before = state && (await boots.seen(agentId, state))
      if (!state || !before) return
      const { runningKernel } = state
      const change = before.kernel === runningKernel ? 'as before' : `before: ${before.kernel}`
      notify({
        level: state.required ? 'warning' : 'info',
        title: `${agentId} came back`,
        text: `Started ${state.bootedAt} on kernel ${runningKernel} (${change}).${state.required ? ' It still needs a reboot.' : ''}`,
        agentId,
      })
    })
    http.get<{ Params: { agentId: string } }>(
      '/boots/:agentId',
      { config: { role: 'viewer' } },
      async ({ params }) => ({ items: await boots.list(params.agentId) }),
    )
  },
})
