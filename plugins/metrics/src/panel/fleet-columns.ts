import { defineFleetColumns } from '@fleetupdate/sdk/panel'
import CpuCell from './CpuCell.vue'
import DiskCell from './DiskCell.vue'
import MemoryCell from './MemoryCell.vue'

export default defineFleetColumns([
  { key: 'cpu', title: 'cpuHour', sort: 'metrics.cpu', width: '9rem', order: 30, cell: CpuCell },
  {
    key: 'memory',
    title: 'memory',
    sort: 'metrics.memory',
    width: '6.5rem',
    order: 31,
    wide: true,
    cell: MemoryCell,
  },
  {
    key: 'disk',
    title: 'disk',
    sort: 'metrics.disk',
    width: '6.5rem',
    order: 32,
    wide: true,
    cell: DiskCell,
  },
])
