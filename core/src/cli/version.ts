import { serverVersion } from '../version.ts'
import type { Verb } from './verb.ts'

/** Which program this is. */
export const versionVerb: Verb = {
  summary: 'Print the version of this program',
  examples: [''],
  async run({ world: { nodeVersion } }) {
    return {
      lines: [`fleetupdate ${serverVersion} (Node ${nodeVersion})`],
      json: { version: serverVersion, node: nodeVersion },
    }
  },
}
