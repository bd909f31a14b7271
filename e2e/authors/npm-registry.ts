import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** File → content, of one package. */
export type PackageFiles = Readonly<Record<string, Buffer>>

/**
 * A registry on loopback from which the real npm client fetches packages. Each has version 1.0.0 and an install script that would
 * run `trap.mjs`.
 */
export async function startNpmRegistry(packages: Readonly<Record<string, PackageFiles>>) {
  const tarballs = new Map(Object.entries(packages).map(([name, files]) => [name, packPackage(name, files)]))
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '').slice(1)
    const [name = '', file] = path.split('/-/')
    const tarball = tarballs.get(name)
    if (!tarball) return void response.writeHead(404).end('{}')
    if (file !== undefined) return void response.end(tarball)
    const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
    const dist = { tarball: `${url}${name}/-/package.tgz`, integrity }
    const version = { name, version: '1.0.0', scripts: { install: 'node trap.mjs' }, dist }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ name, 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return {
    url,
    close(): void {
      server.close()
      server.closeAllConnections()
    },
  }
}

function packPackage(name: string, files: PackageFiles): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'npm-package-'))
  try {
    mkdirSync(join(folder, 'package'))
    const scripts = { install: 'node trap.mjs', prepack: 'node trap.mjs', postinstall: 'node trap.mjs' }
    writeFileSync(join(folder, 'package/package.json'), JSON.stringify({ name, version: '1.0.0', scripts }))
    for (const [file, content] of Object.entries(files)) writeFileSync(join(folder, 'package', file), content)
    execFileSync('tar', ['-czf', 'package.tgz', 'package'], { cwd: folder })
    return readFileSync(join(folder, 'package.tgz'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
