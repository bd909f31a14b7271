import { definePlugin } from '@fleetupdate/sdk'
import { aptUpgrade } from './contract.ts'

export default definePlugin(aptUpgrade)
