import { definePlugin } from '@fleetupdate/sdk'
import { sudoCheck } from './contract.ts'

export default definePlugin(sudoCheck)
