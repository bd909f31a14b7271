// Adding a capability touches no file outside its two folders. This proves it for what stands: no other room names a
// capability, neither by its id nor by its packages.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './setup.mjs'

const capabilities = readdirSync(join(root, 'plugins'))
const rooms = ['core/src', 'agent/src', 'sdk/src', 'dashboard/src']
const files = execFileSync(
  'git',
  ['ls-files', '-z', '--cached', '--others', '--exclude-standard', ...rooms],
  { cwd: root, encoding: 'utf8' },
)
  .split('\0')
  .filter((file) => /\.(ts|vue)$/.test(file) && !/\.test\.ts$|\/testing\//.test(file))

let hits = 0
for (const file of files) {
  const lines = readFileSync(join(root, file), 'utf8').split('\n')
  for (const [index, line] of lines.entries()) {
    if (/^\s*(\*|\/\/|\/\*)/.test(line)) continue
    // A neighbour in the same room may be called like a capability.
    const words = line.replace(/'\.{1,2}\/[^']*'/g, '')
    for (const id of capabilities)
      if (new RegExp(`['"\`/]${id}(['"\`./])`).test(words)) {
        hits++
        console.error(`${file}:${index + 1} names the capability "${id}": ${line.trim()}`)
      }
  }
}
if (hits > 0) {
  console.error(`${hits} place(s) know a capability by name. Move that knowledge into its own folder.`)
  process.exit(1)
}
console.log(
  `footprint: ${files.length} files of ${rooms.length} rooms name none of ${capabilities.length} capabilities`,
)
