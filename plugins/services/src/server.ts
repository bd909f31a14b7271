import { definePlugin } from '@fleetupdate/sdk'
import { services } from './contract.ts'

/** The contract is all the server needs to know. */
export default definePlugin(services)
