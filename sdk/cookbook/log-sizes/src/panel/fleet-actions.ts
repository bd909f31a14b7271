import { defineFleetActions } from '@fleetupdate/sdk/panel'

export default defineFleetActions([
  { label: 'measure', icon: 'ruler', command: 'log-sizes.measure', input: { paths: ['/var/log'] } },
])
