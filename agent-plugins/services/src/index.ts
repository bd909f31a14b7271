import { services } from '@fleetupdate/plugin-services/contract'
import { defineExecutor } from '@fleetupdate/sdk/executor'
import { collectFailed } from './failed.ts'
import { changeUnit, followUnit, showUnit } from './units.ts'

export default defineExecutor(services, {
  facts: { failed: { everySeconds: 60, collect: collectFailed } },
  commands: {
    status: ({ unit }, context) => showUnit(unit, context),
    journal: ({ unit }, context) => followUnit(unit, context),
    start: ({ unit }, context) => changeUnit('start', unit, context),
    stop: ({ unit }, context) => changeUnit('stop', unit, context),
    restart: ({ unit }, context) => changeUnit('restart', unit, context),
  },
})
