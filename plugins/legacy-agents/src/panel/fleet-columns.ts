import { defineFleetColumns } from '@fleetupdate/sdk/panel'
import WeakCell from './WeakCell.vue'

export default defineFleetColumns([
  { key: 'weak', title: 'protection', width: '8rem', order: 90, wide: true, cell: WeakCell },
])
