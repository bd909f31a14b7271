// Debian packages of server and agent, from the server's release archive. What they do to a machine is what the installer inside that archive does: the
// package only carries it, calls it, and tells dpkg what it said.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { agentScripts, serverScripts } from './maintainer-scripts.mjs'

const usage = `npm run deb -- --archive fleetupdate-server-….tar.gz [--out DIR]

  Builds fleetupdate-server_VERSION_ARCH.deb and fleetupdate-agent_VERSION_ARCH.deb from a release (npm run release). Needs dpkg-deb.
`
const copyright = (year) => `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: FleetUpdate

Files: *
Copyright: ${year} the FleetUpdate authors
License: MIT
 Permission is hereby granted, free of charge, to any person obtaining a copy of this software to use, copy, modify and distribute it; it is
 provided "as is", without warranty of any kind.
`

const oldest = Date.UTC(2020, 0, 1) / 1000
const architectures = { x64: 'amd64', arm64: 'arm64', arm: 'armhf' }
const options = {
  archive: { type: 'string' },
  out: { type: 'string' },
  help: { type: 'boolean', default: false },
}

const given = parseArgs({ options }).values
if (given.help || given.archive === undefined) {
  console.log(usage)
  process.exitCode = given.help ? 0 : 2
} else main(resolve(given.archive), resolve(given.out ?? dirname(given.archive)))

function main(archive, out) {
  const stage = mkdtempSync(join(tmpdir(), 'fleet-deb-'))
  try {
    const server = join(stage, 'server')
    mkdirSync(server)
    execFileSync('tar', ['-xzf', archive, '-C', server, '--strip-components=1', '--no-same-owner'])
    const version = readFileSync(join(server, 'VERSION'), 'utf8').trim()
    const [, cpu] = readFileSync(join(server, 'NODE_ABI'), 'utf8').trim().split(' ')
    // dpkg takes files from before it existed for a mistake.
    const seconds = Math.max(oldest, Math.floor(statSync(join(server, 'VERSION')).mtimeMs / 1000))
    const common = { version, seconds, architecture: architectures[cpu] ?? cpu, out, stage }
    build(common, {
      name: 'fleetupdate-server',
      summary: 'keeps a fleet of Linux machines patched, from one dashboard',
      description:
        'The server: API, dashboard and embedded database.\n Agents dial in; no port is opened on them.',
      tags: ['unstripped-binary-or-object', 'package-contains-documentation-outside-usr-share-doc'],
      fill: (folder) => cpSync(server, join(folder, 'tree'), { recursive: true }),
      scripts: serverScripts(readFileSync(join(server, 'install.sh'), 'utf8')),
    })
    const release = join(server, 'agent-release')
    const agent = readdirSync(release).find((name) => /^agent-.*\.tar\.gz$/.test(name))
    build(common, {
      name: 'fleetupdate-agent',
      summary: 'agent of FleetUpdate on each machine',
      description:
        'Watches this machine for a FleetUpdate server and upgrades it when told to,\n as far as its own policy allows.',
      tags: ['shell-script-fails-syntax-check'],
      fill(folder) {
        mkdirSync(join(folder, 'tree'))
        execFileSync('tar', ['-xzf', join(release, agent), '-C', join(folder, 'tree'), '--no-same-owner'])
        for (const name of ['release.json', 'release.sig'])
          cpSync(join(release, name), join(folder, 'tree', name))
        packNodes(release, join(folder, 'node'))
      },
      scripts: agentScripts(readFileSync(join(release, 'install-agent.sh'), 'utf8')),
    })
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

/** Each Node of the release, and in VERSION what the installer must know of it. */
function packNodes(release, folder) {
  const { nodes } = JSON.parse(readFileSync(join(release, 'release.json'), 'utf8'))
  if (nodes.length === 0) return
  mkdirSync(folder)
  for (const { name, version, glibc } of nodes) {
    cpSync(join(release, name), join(folder, name))
    writeFileSync(join(folder, 'VERSION'), `${version} ${glibc}\n`)
  }
}

function build(
  { version, seconds, architecture, out, stage },
  { name, summary, description, tags, fill, scripts },
) {
  const root = join(stage, name)
  const folder = join(root, 'usr/lib', name)
  const doc = join(root, 'usr/share/doc', name)
  const overrides = join(root, 'usr/share/lintian/overrides')
  for (const each of [folder, doc, overrides, join(root, 'DEBIAN')]) mkdirSync(each, { recursive: true })
  fill(folder)
  // A version before a release sorts before it.
  const debian = version.replaceAll('-', '~')
  const date = new Date(seconds * 1000)
  writeFileSync(join(doc, 'copyright'), copyright(date.getUTCFullYear()))
  writeFileSync(join(doc, 'changelog.gz'), gzipSync(changelog({ name, debian, date }), { level: 9 }))
  writeFileSync(join(overrides, name), overridesOf(name, tags))
  normalize(root)
  const files = filesOf(root).filter((path) => !path.startsWith('DEBIAN/'))
  const bytes = files.reduce((sum, path) => sum + statSync(join(root, path)).size, 0)
  const control = [
    `Package: ${name}`,
    `Version: ${debian}`,
    `Architecture: ${architecture}`,
    'Maintainer: FleetUpdate <fleetupdate@localhost>',
    `Installed-Size: ${Math.ceil(bytes / 1024)}`,
    'Depends: libc6, libstdc++6, systemd, passwd',
    'Section: admin',
    'Priority: optional',
    `Description: ${summary}`,
    ` ${description}`,
    '',
  ].join('\n')
  const sums = files.map((path) => `${md5(join(root, path))}  ${path}\n`).join('')
  const texts = { control, md5sums: sums, ...scripts }
  for (const [file, text] of Object.entries(texts)) {
    writeFileSync(join(root, 'DEBIAN', file), text)
    chmodSync(join(root, 'DEBIAN', file), file in scripts ? 0o755 : 0o644)
  }
  for (const path of filesOf(root)) utimesSync(join(root, path), date, date)
  const file = join(out, `${name}_${debian}_${architecture}.deb`)
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(seconds) }
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zgzip', '-z6', '--build', root, file], {
    env,
    stdio: 'pipe',
  })
  console.log(file)
}

function changelog({ name, debian, date }) {
  const when = date.toUTCString().replace('GMT', '+0000')
  return `${name} (${debian}) stable; urgency=medium\n\n  * FleetUpdate ${debian}.\n\n -- FleetUpdate <fleetupdate@localhost>  ${when}\n`
}

/** Why this package looks unlike one of Debian's own. */
function overridesOf(name, tags) {
  return [
    '# Bundled programs of Node with their native parts, as the release was signed; what is installed from them goes to /opt/orchestrator. The',
    "# agent's programs are shell and Node in one file.",
    ...tags.map((tag) => `${name}: ${tag}`),
    '# postrm carries the whole installer. It asks questions only on a terminal and without NO_PROMPT, which is set; its temporary folder is of',
    '# mktemp and of root alone; what it gives to a user, and takes from one, lies in folders of root.',
    ...[
      'read-in-maintainer-script',
      'script-not-executable',
      'maintainer-script-calls-systemctl',
      'possibly-insecure-handling-of-tmp-files-in-maintainer-script',
      'recursive-privilege-change',
    ].map((tag) => `${name}: ${tag}`),
    '# Whoever builds a package is not known here.',
    ...['bogus-mail-host', 'bogus-mail-host-in-debian-changelog'].map((tag) => `${name}: ${tag}`),
    '',
  ].join('\n')
}

function normalize(folder) {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) normalize(path)
    else chmodSync(path, /\.sh$/.test(entry.name) ? 0o755 : 0o644)
  }
}

function filesOf(root) {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort()
}

function md5(path) {
  return createHash('md5').update(readFileSync(path)).digest('hex')
}
