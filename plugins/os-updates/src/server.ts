import { definePlugin } from '@fleetupdate/sdk'
import { osUpdates } from './contract.ts'

export default definePlugin(osUpdates)
