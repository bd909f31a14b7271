import { agentUpdate } from '@fleetupdate/plugin-agent-update/contract'
import { defineExecutor } from '@fleetupdate/sdk/executor'
import { back, install } from './install.ts'
import { collectRelease } from './state.ts'

export default defineExecutor(agentUpdate, {
  facts: { release: collectRelease },
  commands: { install, back },
})
