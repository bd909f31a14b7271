import { defineFleetActions } from '@fleetupdate/sdk/panel'

export default defineFleetActions([
  { label: 'refresh', icon: 'refresh-cw', command: 'os-updates.refresh', input: {} },
])
