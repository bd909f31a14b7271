import { defineFleetColumns } from '@fleetupdate/sdk/panel'
import OsCell from './OsCell.vue'
import RebootCell from './RebootCell.vue'
import UpdatesCell from './UpdatesCell.vue'

export default defineFleetColumns([
  {
    key: 'os',
    title: 'osColumn',
    sort: 'os-updates.os',
    width: '8.5rem',
    order: 5,
    wide: true,
    cell: OsCell,
  },
  {
    key: 'updates',
    title: 'updates',
    sort: 'os-updates.pending',
    width: '11rem',
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
