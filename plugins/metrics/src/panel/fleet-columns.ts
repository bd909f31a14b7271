import { defineFleetColumns } from '@fleetupdate/sdk/panel'
import CpuCell from './CpuCell.vue'

export default defineFleetColumns([
  { key: 'cpu', title: 'cpuHour', sort: 'metrics.cpu', width: '10rem', order: 30, cell: CpuCell },
])
