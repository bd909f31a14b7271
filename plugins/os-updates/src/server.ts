import { definePlugin } from '@fleetupdate/sdk'
import { osUpdates } from './contract.ts'

// biome-ignore lint/style/noDefaultExport: the plugin host loads the default export
export default definePlugin(osUpdates)
