import { asOwnerOfFolder } from './data-dir.ts'
import { exitCodes, type Verb } from './verb.ts'

/** The server itself; what the unit starts. */
export const serveVerb: Verb = {
  summary: 'Run the server until it is stopped',
  details: [
    'Settings come from the environment; those that are not secret can be arguments: docs/reference/settings.md.',
    'Without any noun the program serves too.',
  ],
  examples: ['--port 9000 --data-dir /srv/fleet', '--env-file /opt/orchestrator/.env'],
  async run(call) {
    const { world } = call
    // Files of root in the data folder would lock the server out.
    await world.serve(world.installed ? asOwnerOfFolder(call.config(), world) : call.config())
    return { lines: [], json: {}, exitCode: exitCodes.done }
  },
}
