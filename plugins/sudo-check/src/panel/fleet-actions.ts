import { defineFleetActions } from '@fleetupdate/sdk/panel'

export default defineFleetActions([
  { label: 'check', icon: 'shield-check', command: 'sudo-check.check', input: {} },
])
