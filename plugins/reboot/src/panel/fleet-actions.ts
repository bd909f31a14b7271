import { defineFleetActions } from '@fleetupdate/sdk/panel'

export default defineFleetActions([
  { label: 'reboot', icon: 'power', command: 'reboot.schedule', input: { minutes: 1 } },
])
