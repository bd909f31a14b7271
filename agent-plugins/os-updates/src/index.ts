import { osUpdates } from '@fleetupdate/plugin-os-updates/contract'
import { defineExecutor } from '@fleetupdate/sdk/executor'
import { refresh } from './refresh.ts'
import { collectSystem } from './system.ts'
import { createUpdatesCollector } from './updates.ts'

export default defineExecutor(osUpdates, {
  facts: { updates: createUpdatesCollector(), system: collectSystem },
  commands: { refresh: (_input, context) => refresh(context) },
})
