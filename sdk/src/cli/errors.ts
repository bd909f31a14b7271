import { createErrors } from '../errors/fleet-error.ts'

/** Everything the command line refuses, each with what to do instead. */
export const cliCatalogue = {
  FLT_CLI_USAGE: { status: 400, message: '{problem}. Usage: {usage}' },
  FLT_CLI_ID: {
    status: 400,
    message: 'The id "{id}" does not fit. Use lower-case words joined by dashes, like disk-health.',
  },
  FLT_CLI_EXISTS: { status: 409, message: '{path} is already there. Choose another id, or remove it first.' },
  FLT_CLI_NO_REPOSITORY: {
    status: 400,
    message: '{path} has no folders plugins/ and agent-plugins/. Run this at the root of the repository.',
  },
  FLT_CLI_KEY_IN_REPOSITORY: {
    status: 400,
    message: '{path} lies in the repository {repository}. Keep the key elsewhere: --out FILE',
  },
  FLT_CLI_KEY_INVALID: {
    status: 400,
    message: '{path} is not a private Ed25519 key: {problem}. Make one: npx fleetupdate plugin keygen',
  },
  FLT_CLI_SOURCE: {
    status: 400,
    message:
      '{source} gives no bundle: {problem}. Name a file made by "plugin pack", or an npm package that holds one.',
  },
  FLT_CLI_SERVER: { status: 502, message: 'The server {server} answered {status}: {problem}' },
  FLT_CLI_NOT_CONFIRMED: { status: 400, message: 'Nothing was installed. Answer yes, or pass --yes.' },
} as const

/** Builds an error of the command line's catalogue. */
export const cliError = createErrors(cliCatalogue)
