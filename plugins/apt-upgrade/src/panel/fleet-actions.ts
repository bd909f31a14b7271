import { defineFleetActions } from '@fleetupdate/sdk/panel'

export default defineFleetActions([
  { label: 'action', icon: 'circle-fading-arrow-up', page: true, primary: true },
])
