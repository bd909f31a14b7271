import { defineFleetColumns } from '@fleetupdate/sdk/panel'
import RebootCell from './RebootCell.vue'
import UpdatesCell from './UpdatesCell.vue'

export default defineFleetColumns([
  {
    key: 'updates',
    title: 'updates',
    sort: 'os-updates.pending',
    width: '14rem',
    order: 10,
    cell: UpdatesCell,
  },
  {
    key: 'reboot',
    title: 'rebootColumn',
    sort: 'os-updates.rebootRequired',
    width: '7.5rem',
    order: 20,
    cell: RebootCell,
  },
])
