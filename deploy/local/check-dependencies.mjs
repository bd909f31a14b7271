// Fails where the lockfile holds a version with a known hole, a range would let one in again, or an address of a registry stands in it.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './setup.mjs'

/** The first good version of each package, and what was wrong before. */
const floors = {
  fastify: ['5.12.2', 'CVE-2026-16732'],
  '@fastify/static': ['10.1.1', 'the oldest version this was tested with'],
  '@fastify/websocket': ['11.3.0', 'the oldest version this was tested with'],
  jose: ['6.0.0', 'the oldest version this was tested with'],
  ws: ['8.17.1', 'CVE-2024-37890: many headers end the process'],
  argon2: ['0.40.0', 'the oldest version this was tested with'],
  'better-sqlite3': ['12.0.0', 'SQLite before 3.50 (CVE-2025-6965)'],
  yaml: ['2.2.2', 'CVE-2023-2251: an exception on hostile input'],
  'find-my-way': ['9.0.1', 'CVE-2024-45813: slow patterns between two parameters'],
  'path-to-regexp': ['8.0.0', 'CVE-2024-45296: slow patterns'],
  'fast-uri': ['3.0.6', 'host confusion'],
  undici: ['6.21.2', 'CVE-2025-22150: predictable boundaries'],
  vite: ['6.2.7', 'CVE-2025-46565: files outside the root of the dev server'],
  esbuild: ['0.25.0', 'GHSA-67mh-4wv8-2f99: any site could read from the dev server'],
  'cross-spawn': ['7.0.5', 'CVE-2024-21538: slow patterns'],
  nanoid: ['3.3.8', 'CVE-2024-55565: predictable ids'],
  dompurify: ['3.2.4', 'CVE-2025-26791: cross-site scripting'],
}
/** Packages that must never come in: another package of the same kind is used. */
const banned = {
  '@sinclair/typebox': 'typebox 1 is used; the two must not be mixed',
  request: 'no longer kept',
  vm2: 'no longer kept; its sandbox can be left',
  'node-serialize': 'runs what it reads',
}

const problems = []
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
const packages = Object.entries(lock.packages).filter(([path]) => path.includes('node_modules/'))
let checked = 0
for (const [path, { version = '', resolved, link, dev, optional }] of packages) {
  if (link) continue
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
  if (resolved !== undefined && !resolved.startsWith('file:') && !link)
    problems.push(`${path} names a registry: set omit-lockfile-registry-resolved=true and install again`)
  const floor = floors[name]
  if (floor) checked++
  if (floor && isBelow(version, floor[0]))
    problems.push(`${path} is ${version}; at least ${floor[0]} is needed (${floor[1]})`)
  if (Object.hasOwn(banned, name) && !dev && !optional)
    problems.push(`${path} must not come in: ${banned[name]}`)
}
for (const [path, { dependencies = {}, devDependencies = {} }] of Object.entries(lock.packages)) {
  if (path.includes('node_modules/')) continue
  for (const [name, range] of Object.entries({ ...dependencies, ...devDependencies }))
    if (floors[name] && isBelow(String(range).replace(/^[^\d]*/, ''), floors[name][0]))
      problems.push(
        `${path || 'package.json'} asks for ${name} ${range}, which begins below ${floors[name][0]}`,
      )
}
if (checked === 0) problems.push('none of the packages with a floor was found in the lockfile')

if (problems.length === 0)
  console.log(`${checked} packages stand above their floors; ${packages.length} looked at.`)
else {
  for (const problem of problems) console.error(problem)
  process.exit(1)
}

/** Compares numbers alone; a pre-release counts as its version. */
function isBelow(version, floor) {
  const numbers = (text) => text.split(/[-+]/, 1)[0].split('.').map(Number)
  const [a, b] = [numbers(version), numbers(floor)]
  for (let i = 0; i < 3; i++) if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) < (b[i] ?? 0)
  return false
}
