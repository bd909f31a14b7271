import { expect, it } from 'vitest'
import aptUpgradePackage from '../../agent-plugins/apt-upgrade/package.json' with { type: 'json' }
import aptUpgrade from '../../agent-plugins/apt-upgrade/src/index.ts'
import { createAptRoot } from './create-apt-root.ts'
import { createRootContext } from './executor-context.ts'

it('recovers', async () => {
  let recovered = 0, interrupted = 0
  const bad: string[] = []
  const root = await createAptRoot()
  const names = ['fleet-a', 'fleet-b', 'fleet-c', 'fleet-d']
  for (const n of names) await root.installPackage(n, '1.0', { conffiles: { [`/etc/${n}.conf`]: 'one\n' } })
  for (let i = 0; i < 50; i++) {
    const v = `2.${i}`
    for (const [k, n] of names.entries()) await root.offer(n, v, { conffiles: { [`/etc/${n}.conf`]: `${v}\n` }, depends: k ? [`${names[k - 1]} (>= ${v})`] : [], scripts: { preinst: 'sleep 0.02', postinst: 'sleep 0.03', prerm: 'sleep 0.02' } })
    const first = await createRootContext(root, aptUpgradePackage.fleetupdate as never)
    const running = Promise.resolve(aptUpgrade.commands.run!({ mode: 'all' }, first)).then(() => 'done', (e) => e)
    await new Promise((r) => setTimeout(r, 200 + i * 22))
    await root.killAll()
    const outcome = await running
    if (outcome !== 'done') interrupted++
    const again = await createRootContext(root, aptUpgradePackage.fleetupdate as never)
    const result = await Promise.resolve(aptUpgrade.commands.run!({ mode: 'all' }, again)).then((x) => x, (e) => e)
    const audit = await root.run(['dpkg', '--audit'])
    const versions = (await root.run(['dpkg-query', '-W', '-f', '${Version} ${db:Status-Status}\n', ...names])).stdout
    const ok = audit.stdout === '' && versions.split('\n').slice(0, 4).every((l) => l === `${v} installed`)
    if (ok) recovered++
    else bad.push(`${i}: ${result instanceof Error ? result.message : ''} ${versions} ${again.output().slice(-1500)}`)
  }
  console.log({ recovered, interrupted }, bad.slice(0, 2).join('\n----\n'))
  await root.dispose()
  expect(recovered).toBe(50)
}, 600_000)
