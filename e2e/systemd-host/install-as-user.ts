import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AptRoot } from '../apt-root/create-apt-root.ts'
import { copyAgent } from '../fleet/agent-in-root.ts'
import { repository } from '../repository.ts'

/** Installs the built agent as `orchestrator` with the paths, owners and units of a real host; nothing is enabled. */
export async function installAsUser(
  root: AptRoot,
  { id, url }: { readonly id: string; readonly url: string },
): Promise<void> {
  const inRoot = (path: string): string => join(root.directory, path)
  const home = '/var/lib/orchestrator-agent'
  await root.run([
    'useradd',
    '--system',
    '--user-group',
    '--groups=systemd-journal',
    '--home-dir',
    home,
    'orchestrator',
  ])
  const target = inRoot('opt/orchestrator/agent/current')
  copyAgent(target, join(target, 'executors'))
  await root.run(['chown', '-R', 'root:root', '/opt/orchestrator'])
  mkdirSync(inRoot('etc/orchestrator-agent'), { recursive: true })
  const agent = { id, server_url: url, psk: 'a-secret-for-tests-0123456789', poll_interval: 5 }
  const lines = Object.entries(agent).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`)
  writeFileSync(inRoot('etc/orchestrator-agent/config.yaml'), ['agent:', ...lines, ''].join('\n'), {
    mode: 0o640,
  })
  await root.run(['chown', '-R', 'root:orchestrator', '/etc/orchestrator-agent'])
  await root.run(['chmod', '0750', '/etc/orchestrator-agent'])
  await root.run(['install', '-d', '-o', 'orchestrator', '-g', 'orchestrator', '-m', '0700', home])
  const units = inRoot('etc/systemd/system')
  mkdirSync(units, { recursive: true })
  for (const unit of readdirSync(join(repository, 'deploy/systemd')))
    copyFileSync(join(repository, 'deploy/systemd', unit), join(units, unit))
}
