// `npm run pack`: the packages an author needs outside this repository, as files in dist/packages: the sdk, and a server and an agent to
// try a plugin in. Server and agent carry all they need, compiled parts included: nobody compiles, and no install script runs. They fit the
// platform and the major version of Node they were packed on.
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import process from 'node:process'
import { prepare, root } from '../local/setup.mjs'

/** Loaded at run time from node_modules, because they are compiled. */
const compiled = ['better-sqlite3', 'argon2']
/** Needed to compile or fetch them, not to run them. */
const forBuilding = new Set(['prebuild-install', 'cross-env', 'node-addon-api'])

if (!process.argv.includes('--no-build')) await prepare()
const out = join(root, 'dist/packages')
const staged = mkdtempSync(join(tmpdir(), 'packages-'))
try {
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const files = [pack(join(root, 'sdk')), pack(stageServer()), pack(stageAgent())]
  for (const file of files) console.log(relative(process.cwd(), join(out, file)))
} finally {
  rmSync(staged, { recursive: true, force: true })
}

function pack(folder) {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', out]
  const [{ filename }] = JSON.parse(execFileSync('npm', args, { cwd: folder, encoding: 'utf8' }))
  return filename
}

function stageServer() {
  const folder = stage('core', { os: [process.platform], cpu: [process.arch] })
  copy('core/dist', join(folder, 'dist'))
  copy('dashboard/dist', join(folder, 'dist/dashboard'))
  for (const id of readdirSync(join(root, 'plugins')))
    stageFaces(join(root, 'plugins', id), join(folder, 'dist/plugins', id))
  for (const id of readdirSync(join(root, 'agent-plugins')))
    putManifest(join(root, 'agent-plugins', id), join(folder, 'dist/executors', id))
  const needed = new Map()
  for (const name of compiled) bundle(name, folder, needed)
  const file = join(folder, 'package.json')
  const json = JSON.parse(readFileSync(file, 'utf8'))
  writeJson(file, {
    ...json,
    dependencies: Object.fromEntries(needed),
    bundleDependencies: [...needed.keys()],
  })
  return folder
}

function stageAgent() {
  const folder = stage('agent', {})
  copy('agent/dist', join(folder, 'dist'))
  for (const id of readdirSync(join(root, 'agent-plugins')))
    stageFaces(join(root, 'agent-plugins', id), join(folder, 'dist/executors', id))
  return folder
}

function stage(room, more) {
  const folder = join(staged, room)
  mkdirSync(folder)
  const { name, version, license, type, bin } = readJson(join(root, room, 'package.json'))
  const { engines } = readJson(join(root, 'package.json'))
  writeJson(join(folder, 'package.json'), {
    name,
    version,
    license,
    type,
    ...(bin ? { bin } : {}),
    engines,
    files: ['dist'],
    exports: { './package.json': './package.json' },
    ...more,
  })
  return folder
}

/** A built capability as a host reads it: its manifest and its dist. */
function stageFaces(from, to) {
  putManifest(from, to)
  copy(relative(root, join(from, 'dist')), join(to, 'dist'))
}

function putManifest(from, to) {
  const { name, version, type, fleetupdate } = readJson(join(from, 'package.json'))
  if (!fleetupdate) return
  mkdirSync(to, { recursive: true })
  writeJson(join(to, 'package.json'), { name, version, type, fleetupdate })
}

function copy(from, to) {
  const source = join(root, from)
  if (!existsSync(source)) throw new Error(`${from} is missing. Run: npm run build`)
  cpSync(source, to, { recursive: true, filter: (path) => !path.endsWith('.map') })
}

/** Copies a package with what it needs at run time into the staged one; without scripts, sources and other platforms. */
function bundle(name, folder, needed) {
  if (needed.has(name)) return
  const from = join(root, 'node_modules', name)
  const to = join(folder, 'node_modules', name)
  const {
    scripts,
    devDependencies,
    dependencies = {},
    gypfile,
    files,
    ...json
  } = readJson(join(from, 'package.json'))
  needed.set(name, json.version)
  const kept = Object.fromEntries(Object.entries(dependencies).filter(([one]) => !forBuilding.has(one)))
  cpSync(from, to, { recursive: true, filter: (path) => isNeeded(relative(from, path)) })
  writeJson(join(to, 'package.json'), { ...json, gypfile: false, dependencies: kept })
  for (const one of Object.keys(kept)) bundle(one, folder, needed)
}

function isNeeded(path) {
  if (/^(deps|src|node_modules|prebuilds|argon2)(\/|$)|\.(cpp|gyp|md|ts|map)$/.test(path)) return false
  const built = /^build\/(.+)$/.exec(path)?.[1]
  return built === undefined || built === 'Release' || /^Release\/(better_sqlite3|argon2)\.node$/.test(built)
}

function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'))
}

function writeJson(file, json) {
  writeFileSync(file, `${JSON.stringify(json, null, 2)}\n`)
}
