import { expect, test } from 'vitest'
import { sdkProblem, sdkVersion } from './sdk-version.ts'

const [major = 0, minor = 0] = sdkVersion.split('.').map(Number)

test('a host runs what needs its own or an older version of the same major one', () => {
  for (const version of [`${major}`, `${major}.0`, sdkVersion, `${sdkVersion}.7`])
    expect(sdkProblem(version, 'server')).toBeUndefined()
})

test('what needs a newer one is told to wait for the host, what needs an older major one is to be updated', () => {
  expect(sdkProblem(`${major}.${minor + 1}`, 'server')).toMatch(/Update the server$/)
  expect(sdkProblem(`${major + 1}.0`, 'agent')).toMatch(/this agent offers .*Update the agent$/)
  expect(sdkProblem(`${major - 1}.9`, 'agent')).toMatch(/Update the plugin$/)
})
