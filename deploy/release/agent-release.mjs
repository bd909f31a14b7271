// The agent as one signed release: an archive, this machine's Node for machines without one, and a statement about both.
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { buildAgent } from '@fleetupdate/agent/build'
import { writeTar } from '@fleetupdate/sdk/bundle'
import { root } from '../local/setup.mjs'
import { packNode } from './pack-node.mjs'
import { publicText, signBytes } from './signing-key.mjs'

/** The oldest Node that an agent runs on. */
export const oldestNode = '20.19.0'

/**
 * Writes the release of the agent into a folder, which is replaced whole: `release.json`, its signature `release.sig`, the public key
 * `release.pub`, and the files the statement names by their hash. Equal sources, version, counter and key give equal bytes.
 * `nodes`: architecture → path of a Node binary to send along.
 */
export async function writeAgentRelease(folder, { version, counter, key, nodes = {} }) {
  const fresh = `${folder}.part-${process.pid}`
  await rm(fresh, { recursive: true, force: true })
  await mkdir(fresh, { recursive: true })
  const archive = gzipSync(writeTar(await agentFiles({ version, key })), { level: 9 })
  const archiveName = `agent-${sha256(archive)}.tar.gz`
  await writeFile(join(fresh, archiveName), archive)
  const packed = []
  for (const [arch, binary] of Object.entries(nodes)) {
    const { bytes, version: node, glibc } = await packNode(binary)
    const name = `node-${arch}-${sha256(bytes)}.gz`
    await writeFile(join(fresh, name), bytes)
    packed.push({ arch, version: node, glibc, name, sha256: sha256(bytes), bytes: bytes.length })
  }
  const installer = await readFile(join(root, 'deploy/install-agent.sh'))
  await writeFile(join(fresh, 'install-agent.sh'), installer)
  const statement = {
    type: 'fleetupdate-agent-release-1',
    version,
    counter,
    oldestNode,
    archive: { name: archiveName, sha256: sha256(archive), bytes: archive.length },
    installer: { name: 'install-agent.sh', sha256: sha256(installer), bytes: installer.length },
    nodes: packed,
  }
  const bytes = Buffer.from(`${JSON.stringify(statement, null, 2)}\n`)
  await writeFile(join(fresh, 'release.json'), bytes)
  await writeFile(join(fresh, 'release.sig'), `${signBytes(bytes, key)}\n`)
  await writeFile(join(fresh, 'release.pub'), `${publicText(key)}\n`)
  await rm(folder, { recursive: true, force: true })
  await rename(fresh, folder)
  return statement
}

/** Everything an agent is installed from. */
async function agentFiles({ version, key }) {
  const stage = await mkdtemp(join(tmpdir(), 'fleet-agent-'))
  try {
    await buildAgent(stage, { version })
    const files = [
      ...(await filesOf(stage)),
      ...(await filesOf(join(root, 'deploy/systemd'), 'systemd')).filter(
        ({ path }) => !path.includes('server'),
      ),
      { path: 'install.sh', content: await readFile(join(root, 'deploy/install-agent.sh')) },
      { path: 'release.pub', content: Buffer.from(`${publicText(key)}\n`) },
      { path: 'VERSION', content: Buffer.from(`${version}\n`) },
    ]
    for (const id of await readdir(join(root, 'agent-plugins'))) {
      const from = join(root, 'agent-plugins', id)
      files.push({
        path: `executors/${id}/package.json`,
        content: await readFile(join(from, 'package.json')),
      })
      files.push(...(await filesOf(join(from, 'dist'), `executors/${id}/dist`)))
    }
    return files.sort((a, b) => (a.path < b.path ? -1 : 1))
  } finally {
    await rm(stage, { recursive: true, force: true })
  }
}

async function filesOf(folder, prefix = '') {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  )
  return Promise.all(
    names
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !path.endsWith('.map'))
      .map(async (path) => ({
        path: join(prefix, path.slice(folder.length + 1)),
        content: await readFile(path),
      })),
  )
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex')
}
