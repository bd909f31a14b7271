import { reboot } from '@fleetupdate/plugin-reboot/contract'
import { defineExecutor } from '@fleetupdate/sdk/executor'
import { cancel, schedule } from './commands.ts'
import { collectState } from './state.ts'

export default defineExecutor(reboot, {
  facts: { state: collectState },
  commands: { schedule, cancel: (_input, context) => cancel(context) },
})
