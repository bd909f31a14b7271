import { defineFleetColumns } from '@fleetupdate/sdk/panel'
import SizeCell from './SizeCell.vue'

export default defineFleetColumns([
  { key: 'logs', title: 'logs', sort: 'log-sizes.bytes', order: 60, align: 'end', cell: SizeCell },
])
