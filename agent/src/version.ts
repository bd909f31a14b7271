import manifest from '../package.json' with { type: 'json' }

/** The version of this agent, as it tells the server. */
export const version: string = manifest.version
