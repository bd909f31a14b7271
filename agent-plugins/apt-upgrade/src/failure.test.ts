import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { explainFailure } from './failure.ts'

const recorded = (name: string) =>
  readFileSync(new URL(`../fixtures/failures/${name}.txt`, import.meta.url), 'utf8')
const explained = (name: string) => explainFailure({ text: recorded(name), errors: [] })

describe('the reason of a failed apt, from recorded output', () => {
  it.each([
    ['frontend-lock', /^The package system is in use by process \d+ \(python3\)\./],
    ['dpkg-lock', /^The package system is in use by process \d+ \(python3\)\./],
    ['archives-lock', /^The package system is in use by process \d+ \(python3\)\./],
    ['configure-lock', /^The package system is in use by process \d+\. Try again/],
    ['missing-package', /^No repository offers the package fleet-none\./],
    ['hash-mismatch', /^file:\/srv\/repo\/pool\/fleet-demo_2\.0_all\.deb is not what the index says/],
    ['file-gone', /^file:\S+fleet-demo_2\.0_all\.deb could not be downloaded: File not found/],
    ['removal', /^This upgrade would remove packages/],
    ['disk-full', /^There is not enough disk space\./],
    ['postinst', /^fleet-demo: installed fleet-demo package post-installation script .* exit status 7$/],
    ['preinst', /^fleet-demo: new fleet-demo package pre-installation script .* exit status 9$/],
    ['unmet', /^Unmet dependencies\./],
  ])('names it for %s', (name, reason) => {
    expect(explained(name)).toMatch(reason)
  })

  it('does not blame a lock that was waited for and then released', () => {
    const waited = recorded('frontend-lock').split('\n').slice(0, 1).join('\n')
    expect(explainFailure({ text: `${waited}\n${recorded('postinst')}`, errors: [] })).toMatch(
      /^fleet-demo: /,
    )
  })

  it('prefers what apt reported package by package', () => {
    const errors = [
      { package: '/var/cache/apt/archives/curl_8_amd64.deb', message: 'broken' },
      { package: 'zip', message: 'refused' },
    ]
    expect(explainFailure({ text: '', errors })).toBe('curl: broken; zip: refused')
  })

  it('stays one line of bounded length, and says where to look when nothing is known', () => {
    expect(explainFailure({ text: `E: ${'x'.repeat(5000)}`, errors: [] }).length).toBe(600)
    expect(explainFailure({ text: 'Killed', errors: [] })).toBe('apt failed; its output says why.')
  })
})
