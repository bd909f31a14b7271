// The server as one folder: bundles, dashboard, plugins, native packages built for this platform, units, and the agent's release.

import { execFileSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { chmod, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { buildServer, nativePackages } from '@fleetupdate/core/build'
import { root } from '../local/setup.mjs'

const require = createRequire(join(root, 'core/package.json'))
/** Of a native package only what is loaded: sources, build files and other platforms stay behind. */
const wanted =
  /(^|\/)(package\.json|LICENSE[^/]*|.*\.(c?js|mjs))$|^build\/Release\/(better_sqlite3|argon2)\.node$/
const unwanted = /(^|\/)(deps|src|test|docs?|include|build\/Release\/(obj(\.target)?|\.deps))(\/|$)/

/** Writes the server's tree into a new folder. `agentRelease`: the folder of the agent's release. */
export async function writeServerTree(folder, { version, agentRelease, publicKey }) {
  await buildServer(folder, { version })
  for (const id of await readdir(join(root, 'plugins'))) {
    const from = join(root, 'plugins', id)
    await copy(join(from, 'package.json'), join(folder, 'plugins', id, 'package.json'))
    await copy(join(from, 'dist'), join(folder, 'plugins', id, 'dist'))
  }
  for (const id of await readdir(join(root, 'agent-plugins')))
    await copy(join(root, 'agent-plugins', id, 'package.json'), join(folder, 'executors', id, 'package.json'))
  await copy(join(root, 'dashboard/dist'), join(folder, 'dashboard'))
  await copy(join(root, 'deploy/proxy'), join(folder, 'proxy'))
  await mkdir(join(folder, 'systemd'))
  for (const unit of await readdir(join(root, 'deploy/systemd')))
    if (unit.includes('server')) await copy(join(root, 'deploy/systemd', unit), join(folder, 'systemd', unit))
  await copy(agentRelease, join(folder, 'agent-release'))
  await copyNative(folder)
  await copy(join(root, 'deploy/install-server.sh'), join(folder, 'install.sh'))
  await writeFile(join(folder, 'release.pub'), `${publicKey}\n`)
  await writeFile(join(folder, 'VERSION'), `${version}\n`)
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }\n')
  // Native packages fit one kind of Node alone.
  await writeFile(join(folder, 'NODE_ABI'), `${process.versions.modules} ${process.arch}\n`)
  await chmod(join(folder, 'install.sh'), 0o755)
  // A native package that does not fit this Node ends it without a word: better here than on the operator's machine.
  const program = 'new (require("better-sqlite3"))(":memory:").close(); require("argon2")'
  execFileSync(process.execPath, ['-e', program], { cwd: folder })
}

async function copyNative(folder) {
  const pending = [...nativePackages]
  const done = new Set()
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (done.has(name)) continue
    done.add(name)
    const from = packageFolder(name)
    const isBuilt = existsSync(join(from, 'build/Release'))
    await cp(from, join(folder, 'node_modules', name), {
      recursive: true,
      filter: async (path) => {
        const inside = path.slice(from.length + 1)
        if (inside === '') return true
        if (unwanted.test(inside) || inside.includes('node_modules')) return false
        // What was built for this very Node counts before what came prebuilt.
        const prebuilt = /^prebuilds(?:\/([^/]+))?/.exec(inside)
        if (prebuilt && isBuilt) return false
        if (prebuilt) return prebuilt[1] === undefined || prebuilt[1] === `linux-${process.arch}`
        return statSync(path).isDirectory() || wanted.test(inside)
      },
    })
    const { dependencies = {} } = JSON.parse(await readFile(join(from, 'package.json'), 'utf8'))
    // What only builds or downloads is not loaded at run time.
    pending.push(
      ...Object.keys(dependencies).filter(
        (one) => !/^(prebuild-install|cross-env|node-addon-api)$/.test(one),
      ),
    )
  }
}

function packageFolder(name) {
  const [found] = require.resolve.paths(name).filter((path) => tryRead(join(path, name, 'package.json')))
  return join(found, name)
}

function tryRead(file) {
  try {
    require(file)
    return true
  } catch {
    return false
  }
}

async function copy(from, to) {
  await mkdir(dirname(to), { recursive: true })
  await cp(from, to, { recursive: true, filter: (path) => !path.endsWith('.map') })
}
