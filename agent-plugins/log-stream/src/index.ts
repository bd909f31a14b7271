import { logStream } from '@fleetupdate/plugin-log-stream/contract'
import { defineExecutor } from '@fleetupdate/sdk/executor'
import { fleetupdate } from '../package.json'
import { followFile } from './follow-file.ts'
import { followUnit } from './follow-unit.ts'

/** Follows until the command is cancelled: the core then ends the program, so nothing here waits for it. */
export default defineExecutor(logStream, {
  commands: {
    follow: (input, context) =>
      'unit' in input ? followUnit(input.unit, context) : followFile(input.file, fleetupdate.paths, context),
  },
})
