import { definePlugin } from '@fleetupdate/sdk'
import { sudoCheck } from './contract.ts'

// biome-ignore lint/style/noDefaultExport: the plugin host loads the default export
export default definePlugin(sudoCheck)
