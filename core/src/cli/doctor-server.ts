import { createServer, isIP } from 'node:net'
import { Type } from 'typebox'
import type { ServerConfig } from '../config.ts'
import { readCertificate } from '../http/certificate.ts'
import { consoleSocketOf } from '../http/console-socket.ts'
import { serverVersion } from '../version.ts'
import { answerOf } from './answers.ts'
import { consoleHeaders, createApi } from './api-client.ts'
import { bad, type Finding, ok, warn } from './finding.ts'
import type { World } from './verb.ts'

const readHealth = answerOf(Type.Object({ version: Type.String() }))
const readPlugins = answerOf(
  Type.Object({
    items: Type.Array(
      Type.Object({ id: Type.String(), state: Type.String(), reason: Type.Optional(Type.String()) }),
    ),
  }),
)
const dayMs = 86_400_000

/** The server itself, where it runs, else its port; and how it is reached. */
export async function examineServer(config: ServerConfig, world: World): Promise<readonly Finding[]> {
  return [
    ...(await examineRunning(config, world)),
    ...(await examineCertificate(config)),
    ...examineAddress(config),
  ]
}

async function examineRunning(config: ServerConfig, world: World): Promise<readonly Finding[]> {
  const socketPath = consoleSocketOf(config.dataDir)
  const api = createApi({ socketPath, headers: consoleHeaders(config, world) })
  let version: string
  try {
    version = readHealth(await api.get('/api/health')).version
  } catch {
    return [
      warn('server', 'does not run', 'Start it: systemctl start orchestrator-server'),
      await examinePort(config),
    ]
  }
  const findings: Finding[] = [
    version === serverVersion
      ? ok('server', `runs, version ${version}`)
      : warn(
          'server',
          `runs in version ${version}, this program is ${serverVersion}`,
          'Restart it: systemctl restart orchestrator-server',
        ),
  ]
  const { items } = readPlugins(await api.get('/api/admin/plugins'))
  const failed = items.filter(({ state }) => state === 'failed')
  for (const { id, reason } of failed)
    findings.push(
      bad(
        'plugin',
        `${id} failed: ${reason ?? 'no reason given'}`,
        `Correct it, then: fleetupdate plugin enable ${id}`,
      ),
    )
  if (failed.length === 0) findings.push(ok('plugins', `none of ${items.length} failed`))
  return findings
}

function examinePort({ host, port }: ServerConfig): Promise<Finding> {
  return new Promise((done) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) =>
      done(
        bad(
          'port',
          `${host}:${port} cannot be used (${error.code})`,
          error.code === 'EADDRINUSE'
            ? `See what listens there (ss -ltnp sport = :${port}), or set PORT to a free one.`
            : 'Set HOST to an address of this machine, and PORT to 1024 or higher.',
        ),
      ),
    )
    probe.listen(port, host, () => probe.close(() => done(ok('port', `${host}:${port} is free`))))
  })
}

async function examineCertificate({ tls, publicUrls }: ServerConfig): Promise<readonly Finding[]> {
  if (!tls) return []
  try {
    const { leaf } = await readCertificate(tls)
    const days = Math.floor((Date.parse(leaf.validTo) - Date.now()) / dayMs)
    const renew = `Renew ${tls.certFile}; the server takes it up by itself.`
    const findings = [
      days < 0
        ? bad('certificate', `ended on ${leaf.validTo}`, renew)
        : days < 14
          ? warn('certificate', `ends in ${days} days`, renew)
          : ok('certificate', `good for ${days} days`),
    ]
    for (const { hostname } of publicUrls) {
      const bare = hostname.replace(/^\[|\]$/g, '')
      const isNamed = isIP(bare) === 0 ? leaf.checkHost(bare) : leaf.checkIP(bare)
      if (isNamed === undefined)
        findings.push(
          bad('certificate', `is not for ${hostname}`, 'Take one that names every host of PUBLIC_URL.'),
        )
    }
    return findings
  } catch (error) {
    return [bad('certificate', error instanceof Error ? error.message : String(error), 'Do what it says.')]
  }
}

function examineAddress({ publicUrls, tls, host }: ServerConfig): readonly Finding[] {
  const isLocal = /^(127\.|::1$|localhost$)/.test(host)
  if (publicUrls.length === 0)
    return isLocal || tls
      ? []
      : [
          warn(
            'address',
            'PUBLIC_URL is not set: links and invitations hold whatever name people used',
            'Set PUBLIC_URL.',
          ),
        ]
  const open = publicUrls.filter(
    ({ protocol, hostname }) => protocol === 'http:' && !/^(localhost|127\.|\[::1\])/.test(hostname),
  )
  return open.length === 0
    ? [ok('address', publicUrls.map(({ href }) => href).join(', '))]
    : open.map(({ href }) =>
        warn('address', `${href} has no TLS: passwords can be read on the way`, 'See docs/guide/tls.md.'),
      )
}
