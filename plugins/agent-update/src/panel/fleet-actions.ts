import { defineFleetActions } from '@fleetupdate/sdk/panel'

export default defineFleetActions([
  { label: 'install', icon: 'circle-fading-arrow-up', command: 'agent-update.install', input: {} },
])
