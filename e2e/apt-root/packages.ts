import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

export type MaintainerScript = 'preinst' | 'postinst' | 'prerm' | 'postrm'

/** What a test package does and carries besides its name and version. */
export interface PackageOptions {
  /** Bodies of shell scripts; `#!/bin/sh` and `set -e` are put before them. */
  readonly scripts?: Partial<Readonly<Record<MaintainerScript, string>>>
  /** Further files of the control archive, for example debconf's `templates` and `config`. */
  readonly control?: Readonly<Record<string, string>>
  /** Text by absolute path; each becomes a conffile. */
  readonly conffiles?: Readonly<Record<string, string>>
  /** The postinst prints one line a second for so long. */
  readonly slowSeconds?: number
  readonly depends?: readonly string[]
  /** Further control fields, for example `Phased-Update-Percentage`. */
  readonly fields?: Readonly<Record<string, string>>
}

/** Builds one binary package (architecture `all`) into `folder`, and answers the path of the .deb. */
export async function buildPackage(
  folder: string,
  name: string,
  version: string,
  options: PackageOptions = {},
): Promise<string> {
  const stage = await mkdtemp(join(tmpdir(), 'fleet-package-'))
  try {
    await writeFiles(stage, {
      '/DEBIAN/control': control(name, version, options),
      [`/usr/share/${name}/version`]: `${version}\n`,
      ...options.conffiles,
    })
    const conffiles = Object.keys(options.conffiles ?? {})
    if (conffiles.length > 0) await writeFile(join(stage, 'DEBIAN/conffiles'), `${conffiles.join('\n')}\n`)
    for (const [script, body] of Object.entries(scripts(name, options))) {
      await writeFile(join(stage, 'DEBIAN', script), `#!/bin/sh\nset -e\n${body}\n`)
      await chmod(join(stage, 'DEBIAN', script), 0o755)
    }
    for (const [file, text] of Object.entries(options.control ?? {})) {
      await writeFile(join(stage, 'DEBIAN', file), text)
      await chmod(join(stage, 'DEBIAN', file), file === 'config' ? 0o755 : 0o644)
    }
    await chmod(stage, 0o755)
    await mkdir(folder, { recursive: true })
    const file = join(folder, `${name}_${version.replace(/^\d+:/, '')}_all.deb`)
    await execute('dpkg-deb', ['--root-owner-group', '-Zgzip', '--build', stage, file])
    return file
  } finally {
    await rm(stage, { recursive: true, force: true })
  }
}

function control(name: string, version: string, options: PackageOptions): string {
  const fields = {
    Package: name,
    Version: version,
    Architecture: 'all',
    Maintainer: 'FleetUpdate tests <tests@example.com>',
    Section: 'misc',
    Priority: 'optional',
    ...(options.depends ? { Depends: options.depends.join(', ') } : {}),
    ...options.fields,
    Description: 'a package made for a test',
  }
  return `${Object.entries(fields)
    .map(([field, value]) => `${field}: ${value}`)
    .join('\n')}\n`
}

function scripts(name: string, options: PackageOptions): Record<string, string> {
  const seconds = options.slowSeconds ?? 0
  if (seconds === 0) return { ...options.scripts }
  const slow = `i=0; while [ $i -lt ${seconds} ]; do i=$((i+1)); echo "${name} step $i of ${seconds}"; sleep 1; done`
  return { ...options.scripts, postinst: [slow, options.scripts?.postinst ?? ''].join('\n') }
}

async function writeFiles(stage: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(stage, path)), { recursive: true })
    await writeFile(join(stage, path), text)
  }
}
