/** Version of the interface between plugins and hosts that this sdk has: `major.minor`. A manifest names the least one its plugin needs. */
export const sdkVersion = '1.1'

/**
 * Why a host of this sdk cannot run a plugin that needs the version `wanted`, as a sentence with the way out; undefined where it can.
 * Within one major version a newer host runs everything an older one did.
 */
export function sdkProblem(wanted: string, host: 'server' | 'agent'): string | undefined {
  const [major = 0, minor = 0] = numbers(wanted)
  const [ownMajor = 0, ownMinor = 0] = numbers(sdkVersion)
  if (major === ownMajor && minor <= ownMinor) return undefined
  const behind = major > ownMajor || (major === ownMajor && minor > ownMinor)
  return `it needs version ${wanted} of the sdk; this ${host} offers ${sdkVersion}. Update the ${behind ? host : 'plugin'}`
}

function numbers(version: string): readonly number[] {
  return version.split('.').map(Number)
}
