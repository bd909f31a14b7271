import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import aptUpgrade from '@fleetupdate/executor-apt-upgrade'
import aptUpgradePackage from '@fleetupdate/executor-apt-upgrade/package.json' with { type: 'json' }
import osUpdates from '@fleetupdate/executor-os-updates'
import osUpdatesPackage from '@fleetupdate/executor-os-updates/package.json' with { type: 'json' }
import type { FactCollector, Manifest } from '@fleetupdate/sdk'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type AptRoot, aptRootProblem, createAptRoot } from './create-apt-root.ts'
import { createRootContext, type RootContextOptions } from './executor-context.ts'

const problem = aptRootProblem()
const names = ['fleet-demo', 'fleet-held', 'fleet-kept', 'fleet-library', 'fleet-slow', 'fleet-fixed']

if (problem !== undefined) it.skip(`real apt: ${problem}`, () => {})

describe.skipIf(problem !== undefined)('the apt executors, in a Debian of their own', () => {
  let root: AptRoot

  beforeAll(async () => {
    root = await createAptRoot()
    for (const name of names)
      await root.installPackage(name, '1.0', name === 'fleet-demo' ? conffile('old') : {})
    await root.run(['apt-mark', 'auto', 'fleet-library'])
    await root.run(['apt-mark', 'hold', 'fleet-held'])
    await root.offer('fleet-held', '2.0')
    await root.offer('fleet-kept', '2.0', { depends: ['fleet-nowhere'] })
    await root.offer('fleet-library', '2.0')
    await root.offer('fleet-extra', '1.0')
    await root.offer('fleet-slow', '2.0', { slowSeconds: 1, depends: ['fleet-extra'] })
    await root.offer('fleet-fixed', '1.1', { repository: 'security' })
    await root.offer('fleet-fixed', '1.2')
    await root.offer('fleet-demo', '2.0', conffile('new'))
    await writeFile(join(root.directory, 'etc/fleet-demo.conf'), 'changed by a person\n')
  }, 300_000)

  afterAll(() => root?.dispose())

  const updates = async () => {
    const context = await createRootContext(root, manifestOf(osUpdatesPackage), { output: 'capture' })
    const collect = osUpdates.facts.updates as FactCollector<Updates>
    return { value: await collect(context), started: context.started }
  }
  const refresh = async () => {
    const context = await createRootContext(root, manifestOf(osUpdatesPackage))
    return (await osUpdates.commands.refresh?.({}, context)) as { refreshedAt: string | null }
  }
  const attempt = async (command: 'plan' | 'run', input: unknown, options?: RootContextOptions) => {
    const context = await createRootContext(root, manifestOf(aptUpgradePackage), options)
    const result = await aptUpgrade.commands[command]?.(input, context)
    return { context, result: result as Result }
  }

  it('lists exactly what apt lists, with origin and state', async () => {
    const { value } = await updates()
    const listed = await root.run(['apt', 'list', '--upgradable'])
    const fromApt = [...listed.stdout.matchAll(/^([^/\s]+)\/\S+ (\S+) \S+ \[upgradable from: (\S+)\]$/gm)]
    expect(value.pending.map(({ name, candidate, current }) => [name, candidate, current])).toEqual(
      fromApt.map((match) => match.slice(1)),
    )
    expect(value.pending.find((item) => item.name === 'fleet-held')).toMatchObject({
      held: true,
      origin: 'Fleet',
    })
    expect(value.pending.filter((item) => item.security).map((item) => item.name)).toEqual(['fleet-fixed'])
    expect(Date.now() - Date.parse(value.refreshedAt ?? '')).toBeLessThan(120_000)
    expect(value.problem).toBeUndefined()
  })

  it('asks apt again only when something changed', async () => {
    await updates()
    expect((await updates()).started).toEqual([])
    await root.run(['apt-mark', 'hold', 'fleet-kept'])
    const { value, started } = await updates()
    expect(started.length).toBeGreaterThan(0)
    expect(value.pending.find((item) => item.name === 'fleet-kept')?.held).toBe(true)
    await root.run(['apt-mark', 'unhold', 'fleet-kept'])
  })

  it('plans without changing anything', async () => {
    const { result } = await attempt('plan', { mode: 'all' })
    expect(result.packages).toEqual([
      { name: 'fleet-demo', from: '1.0', to: '2.0' },
      { name: 'fleet-extra', from: null, to: '1.0' },
      { name: 'fleet-fixed', from: '1.0', to: '1.2', security: true },
      { name: 'fleet-library', from: '1.0', to: '2.0' },
      { name: 'fleet-slow', from: '1.0', to: '2.0' },
    ])
    expect(result.kept).toEqual([
      { name: 'fleet-held', reason: 'held' },
      { name: 'fleet-kept', reason: 'dependencies' },
    ])
    expect((await attempt('plan', { mode: 'all' })).result.planHash).toBe(result.planHash)
    expect((await attempt('plan', { mode: 'security' })).result.packages.map(({ name }) => name)).toEqual([
      'fleet-fixed',
    ])
    expect(await version('fleet-fixed')).toBe('1.0')
  })

  it('refuses a run whose plan no longer holds, and changes nothing', async () => {
    const { result } = await attempt('plan', { mode: 'security' })
    const running = attempt('run', { mode: 'all' }, { precondition: result.planHash })
    await expect(running).rejects.toThrow(/plan no longer holds/)
    expect(await version('fleet-demo')).toBe('1.0')
  })

  it('takes a selected package, and leaves it marked as automatically installed', async () => {
    const input = { mode: 'selected', packages: ['fleet-library', 'fleet-held'] }
    const { result: plan } = await attempt('plan', input)
    const { result } = await attempt('run', input, { precondition: plan.planHash })
    expect(result.packages).toEqual([{ name: 'fleet-library', from: '1.0', to: '2.0' }])
    expect(result.kept).toEqual([{ name: 'fleet-held', reason: 'held' }])
    expect((await root.run(['apt-mark', 'showauto'])).stdout).toContain('fleet-library')
  })

  it('names a package that no repository offers', async () => {
    const running = attempt('run', { mode: 'selected', packages: ['fleet-none'] })
    await expect(running).rejects.toThrow('No repository offers the package fleet-none.')
  })

  it('stops at the safe point between download and installation', async () => {
    let checkpoints = 0
    const onCheckpoint = () => {
      checkpoints += 1
      if (checkpoints === 2) throw new Error('cancelled')
    }
    await expect(attempt('run', { mode: 'all' }, { onCheckpoint })).rejects.toThrow('cancelled')
    expect(await version('fleet-demo')).toBe('1.0')
  })

  it('takes the security fix alone', async () => {
    const { result } = await attempt('run', { mode: 'security' })
    expect(result.packages).toEqual([{ name: 'fleet-fixed', from: '1.0', to: '1.2', security: true }])
    expect(await version('fleet-demo')).toBe('1.0')
  })

  it('takes everything, tells true progress, and keeps a changed configuration file', async () => {
    const { result, context } = await attempt('run', { mode: 'all' })
    expect(result.packages).toEqual([
      { name: 'fleet-demo', from: '1.0', to: '2.0' },
      { name: 'fleet-extra', from: null, to: '1.0' },
      { name: 'fleet-slow', from: '1.0', to: '2.0' },
    ])
    const percents = context.updates.flatMap((update) => update.percent ?? [])
    expect(percents).toEqual([...percents].sort((a, b) => a - b))
    expect(percents.filter((percent) => percent > 25 && percent < 100).length).toBeGreaterThan(3)
    expect(context.output()).toContain('fleet-slow step 1 of 1')
    expect(await readFile(join(root.directory, 'etc/fleet-demo.conf'), 'utf8')).toBe('changed by a person\n')
    expect((await updates()).value.pending.map((item) => item.name)).toEqual(['fleet-held', 'fleet-kept'])
  })

  it('says which package failed and why, and repairs dpkg first the next time', async () => {
    await root.installPackage('fleet-bad', '1.0')
    const once = 'test -e /srv/may-pass || { echo "no"; exit 3; }'
    await root.offer('fleet-bad', '2.0', { scripts: { postinst: once } })
    await expect(attempt('run', { mode: 'all' })).rejects.toMatchObject({
      message: expect.stringMatching(/fleet-bad.*post-installation script.*exit status 3/),
      exitCode: 100,
    })
    await writeFile(join(root.directory, 'srv/may-pass'), '')
    const { result, context } = await attempt('run', { mode: 'all' })
    expect(context.started.map((argv) => argv.slice(0, 4).join(' '))).toContain(
      '/usr/bin/dpkg --force-confdef --force-confold --configure',
    )
    expect(result.packages).toEqual([{ name: 'fleet-bad', from: null, to: '2.0' }])
  })

  it('finishes what a killed dpkg left', async () => {
    const slowOnce = 'test -e /srv/begun || { touch /srv/begun; echo "fleet-slow begins"; sleep 60; }'
    await root.offer('fleet-slow', '3.0', { scripts: { postinst: slowOnce } })
    const context = await createRootContext(root, manifestOf(aptUpgradePackage))
    const running = Promise.resolve(aptUpgrade.commands.run?.({ mode: 'all' }, context)).catch(
      (error) => error,
    )
    await vi.waitFor(() => expect(context.output()).toContain('fleet-slow begins'), { timeout: 15_000 })
    expect(await root.killAll()).toBeGreaterThan(1)
    expect(await running).toBeInstanceOf(Error)
    await root.offer('fleet-slow', '4.0')
    const { result } = await attempt('run', { mode: 'all' })
    expect(result.packages.map(({ name, to }) => [name, to])).toEqual([['fleet-slow', '4.0']])
    expect((await root.run(['dpkg', '--audit'])).stdout).toBe('')
  })

  it('installs a package anew that was left in an unknown state, and keeps its mark', async () => {
    const status = join(root.directory, 'var/lib/dpkg/status')
    const text = await readFile(status, 'utf8')
    const broken = /^(Package: fleet-library\nStatus: install) ok installed$/m
    expect(text).toMatch(broken)
    await writeFile(status, text.replace(broken, '$1 reinstreq half-installed'))
    const { context } = await attempt('run', { mode: 'all' })
    expect(context.started.flat()).toContain('--reinstall')
    expect((await root.run(['dpkg', '--audit'])).stdout).toBe('')
    expect((await root.run(['apt-mark', 'showauto'])).stdout).toContain('fleet-library')
  })

  it('does not call a run a success that leaves a package half done', async () => {
    await root.offer('fleet-stuck', '1.0', { scripts: { postinst: 'echo "never"; exit 5' } })
    expect((await root.run(['apt-get', '-y', 'install', 'fleet-stuck'])).exitCode).toBe(100)
    await expect(attempt('run', { mode: 'security' })).rejects.toThrow(
      /^Not completely installed: fleet-stuck\. fleet-stuck: .*exit status 5$/,
    )
    await root.run(['dpkg', '--purge', 'fleet-stuck'])
  })

  it('refreshes the index, and fails with the words of apt where a repository is out of reach', async () => {
    expect(Date.parse((await refresh()).refreshedAt ?? '')).toBeGreaterThan(0)
    const sources = join(root.directory, 'etc/apt/sources.list.d/gone.list')
    await writeFile(sources, 'deb [trusted=yes] file:/srv/gone ./\n')
    await expect(refresh()).rejects.toMatchObject({
      message: expect.stringContaining('/srv/gone'),
      exitCode: 100,
    })
  })

  async function version(name: string): Promise<string> {
    return (await root.run(['dpkg-query', '--show', '--showformat=$' + '{Version}', name])).stdout
  }
})

interface Updates {
  pending: { name: string; current: string; candidate: string; held: boolean; security: boolean }[]
  refreshedAt: string | null
  problem?: string
}

interface Result {
  packages: { name: string; from: string | null; to: string }[]
  kept: { name: string; reason: string }[]
  planHash: string
}

function conffile(text: string) {
  return { conffiles: { '/etc/fleet-demo.conf': `${text}\n` } }
}

function manifestOf(packageJson: { fleetupdate: unknown }): Manifest {
  return packageJson.fleetupdate as Manifest
}
