import { serverVersion } from '../version.ts'
import type { Verb } from './verb.ts'

/** Which program this is. */
export const versionVerb: Verb = {
  summary: 'Print the version of this program',
  examples: [''],
  async run() {
    return {
      lines: [`fleetupdate ${serverVersion} (Node ${process.versions.node})`],
      json: { version: serverVersion, node: process.versions.node },
    }
  },
}
