import manifest from '../package.json' with { type: 'json' }

/** Put in by a release build. */
declare const __FLEET_VERSION__: string | undefined

/** The version of this agent, as it tells the server. */
export const version: string = typeof __FLEET_VERSION__ === 'string' ? __FLEET_VERSION__ : manifest.version
