import { definePlugin } from '@fleetupdate/sdk'
import { lines } from './contract.ts'

export default definePlugin(lines)
