import { defineFleetActions } from '@fleetupdate/sdk/panel'

// Also for one agent: the page knows what is offered, and shows how it goes.
export default defineFleetActions([{ label: 'install', icon: 'circle-fading-arrow-up', page: true }])
