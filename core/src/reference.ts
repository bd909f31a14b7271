import { catalogue } from './errors.ts'

/** The server's error catalogue, for the generated reference page. */
export const serverErrors = catalogue
export { cliReference } from './cli/reference.ts'
export { settingsReference } from './settings-reference.ts'
