// `npm run release`: builds the two archives, their sums and their signature. Equal sources and an equal key give equal bytes.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { prepare, root, say } from '../local/setup.mjs'
import { packNode } from './pack-node.mjs'
import { makeSigningKey, publicText, readSigningKey, signBytes } from './signing-key.mjs'

const usage = `npm run release -- [options]

  --key FILE         the Ed25519 key to sign with, outside the repository; default FLEET_RELEASE_KEY
  --new-key FILE     make such a key and end
  --out DIR          where the archives go; default ./dist/release
  --version V        default: the version of package.json
  --counter N        rises with every release, so that agents refuse an older one; default: the time of the last commit
  --node ARCH=FILE   a Node binary to send to machines without one; may be repeated; default: this one, for this architecture
  --no-node          send none
  --no-build         take what is built already, and install nothing (tests)
  --tree             write the folder of the server instead of archives (what install-server.sh does with a checkout)
`

const options = {
  key: { type: 'string', default: process.env.FLEET_RELEASE_KEY },
  'new-key': { type: 'string' },
  out: { type: 'string' },
  version: { type: 'string' },
  counter: { type: 'string' },
  node: { type: 'string', multiple: true, default: [] },
  'no-node': { type: 'boolean', default: false },
  'no-build': { type: 'boolean', default: false },
  tree: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
}

try {
  await main(parseArgs({ options }).values)
} catch (error) {
  console.error(`release: ${error.message}`)
  process.exitCode = 1
}

async function main(given) {
  if (given.help) return void console.log(usage)
  if (given['new-key']) {
    const key = makeSigningKey(given['new-key'])
    return void console.log(
      `Key written to ${given['new-key']}. Keep it safe. Its public part:\n${publicText(key)}`,
    )
  }
  const key = readSigningKey(given.key)
  const version = given.version ?? JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version
  if (!/^\d+\.\d+\.\d+([-+][0-9A-Za-z.-]+)?$/.test(version) || version.length > 64)
    throw new Error(
      `--version must look like 1.2.3, 1.2.3-rc.1 or 1.2.3+abc, not ${JSON.stringify(version)}.`,
    )
  const counter = Number(given.counter ?? commitTime())
  if (!Number.isSafeInteger(counter) || counter < 1)
    throw new Error('--counter must be a positive whole number.')
  if (!given['no-build']) await prepare()
  // Only now is everything built that these import.
  const { writeAgentRelease } = await import('./agent-release.mjs')
  const { writeServerTree } = await import('./server-tree.mjs')

  const out = resolve(given.out ?? join(root, 'dist/release'))
  mkdirSync(out, { recursive: true })
  const stage = mkdtempSync(join(tmpdir(), 'fleet-release-'))
  try {
    say(`Packing ${version} (counter ${counter}) …`)
    const agentRelease = join(stage, 'agent-release')
    const nodes = given['no-node'] ? {} : await nodesOf(given.node)
    const statement = await writeAgentRelease(agentRelease, { version, counter, key, nodes })
    const tree = given.tree ? out : join(stage, `fleetupdate-server-${version}`)
    await writeServerTree(tree, { version, agentRelease, publicKey: publicText(key) })
    if (given.tree) return void console.log(`The server is in ${out}.`)
    const agentArchive = readFileSync(join(agentRelease, statement.archive.name))
    const archives = {
      [`fleetupdate-agent-${version}.tar.gz`]: agentArchive,
      [`fleetupdate-server-${version}-linux-${process.arch}.tar.gz`]: archiveOf(
        stage,
        `fleetupdate-server-${version}`,
        counter,
      ),
    }
    for (const [name, bytes] of Object.entries(archives)) writeFileSync(join(out, name), bytes)
    const sums = Object.entries(archives).map(
      ([name, bytes]) => `${createHash('sha256').update(bytes).digest('hex')}  ${name}\n`,
    )
    const text = Buffer.from(sums.join(''))
    writeFileSync(join(out, 'SHA256SUMS'), text)
    writeFileSync(join(out, 'SHA256SUMS.sig'), Buffer.from(signBytes(text, key), 'base64'))
    writeFileSync(
      join(out, 'release.pem'),
      `-----BEGIN PUBLIC KEY-----\n${publicText(key)}\n-----END PUBLIC KEY-----\n`,
    )
    console.log(
      `\n${sums.join('')}\nin ${out}. To check them:\n  openssl pkeyutl -verify -rawin -pubin -inkey release.pem -sigfile SHA256SUMS.sig -in SHA256SUMS && sha256sum -c SHA256SUMS`,
    )
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

/** What was named must be sent; this very Node is sent where it can run elsewhere. */
async function nodesOf(given) {
  if (given.length > 0) return Object.fromEntries(given.map((one) => one.split(/=(.*)/s).slice(0, 2)))
  try {
    await packNode(process.execPath)
    return { [process.arch]: process.execPath }
  } catch (error) {
    console.warn(`No Node is sent along: ${error.message}`)
    return {}
  }
}

/** Seconds since 1970 of the last commit; of package.json where this is no checkout. */
function commitTime() {
  try {
    return execFileSync('git', ['log', '-1', '--format=%ct'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return Math.floor(statSync(join(root, 'package.json')).mtimeMs / 1000)
  }
}

/** GNU tar in a fixed order, with fixed owners, modes and times; gzip without a time. */
function archiveOf(folder, name, seconds) {
  normalizeModes(join(folder, name))
  const fixed = [
    '--format=ustar',
    '--sort=name',
    `--mtime=@${seconds}`,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
  ]
  const tar = execFileSync('tar', [...fixed, '-C', folder, '-cf', '-', name], { maxBuffer: 1 << 30 })
  return gzipSync(tar, { level: 9 })
}

function normalizeModes(folder) {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) normalizeModes(path)
    else chmodSync(path, /\.sh$/.test(entry.name) ? 0o755 : 0o644)
  }
}
