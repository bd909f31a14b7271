import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Compile } from 'typebox/compile'
import type { ServerConfig } from './config.ts'
import { fleetError } from './errors.ts'
import { readProxies } from './http/client-address.ts'
import { ServerSettings, type Setting, settingList } from './settings.ts'

type Texts = Readonly<Record<string, string | undefined>>

const installed = { dataDir: '/var/lib/orchestrator-server', keyDir: '/etc/orchestrator-server' }
const validator = Compile(ServerSettings)

/**
 * What the environment and the arguments say (`--port 9000`; arguments count first). An empty value is none. Throws
 * FLT_CONFIG_INVALID with one line that names the key and the fix; the values of secrets are never repeated.
 */
export function readConfig(env: Texts, argv: readonly string[] = []): ServerConfig {
  const settings = readSettings({ ...env, ...readArguments(argv) })
  const dataDir = resolve(settings.DATA_DIR)
  return {
    host: settings.HOST,
    port: settings.PORT,
    dataDir,
    masterKeyFile: resolve(settings.MASTER_KEY_FILE ?? defaultKeyFile(dataDir)),
    serverPsk: settings.SERVER_PSK,
    approveAllEnrolments: settings.ENROLMENT_APPROVAL === 'always',
    keyRotationDays: settings.KEY_ROTATION_DAYS,
    uiUser: settings.UI_USER,
    uiPassword: settings.UI_PASSWORD,
    uiPasswordHash: settings.UI_PASSWORD_HASH,
    jwtSecret: settings.JWT_SECRET,
    publicUrls: settings.PUBLIC_URL.map((url) => new URL(url)),
    ...tlsOf(settings),
    trustedProxies: settings.TRUSTED_PROXIES.length > 0 ? readProxies(settings.TRUSTED_PROXIES) : undefined,
    corsOrigins: settings.CORS_ORIGINS.map((url) => new URL(url).origin),
    allowedHosts: settings.ALLOWED_HOSTS.includes('*') ? [] : settings.ALLOWED_HOSTS,
    keepMs: settings.KEEP_DAYS * 24 * 3_600_000,
    pluginDirs: [...settings.PLUGIN_DIRS.map((dir) => resolve(dir)), join(dataDir, 'plugins')],
    agentReleaseDir:
      settings.AGENT_RELEASE_DIR === undefined ? undefined : resolve(settings.AGENT_RELEASE_DIR),
    dashboardDir: settings.DASHBOARD_DIR === undefined ? undefined : resolve(settings.DASHBOARD_DIR),
    notices: noticesFor(settings, dataDir),
  }
}

function readSettings(texts: Texts): ServerSettings {
  const entries = settingList.map((setting) => [setting.name, parse(setting, texts[setting.name])])
  const values: unknown = Object.fromEntries(entries.filter(([, value]) => value !== undefined))
  if (validator.Check(values)) return checkTogether(values)
  const [first] = validator.Errors(values)
  throw invalid(first?.instancePath.split('/')[1] ?? '', texts)
}

function parse({ kind, isSecret, default: fallback }: Setting, given: string | undefined): unknown {
  // A password may end with a space.
  const text = isSecret ? given : given?.trim()
  if (text === undefined || text === '') return fallback
  if (kind === 'whole number') return /^\d{1,9}$/.test(text) ? Number(text) : text
  if (kind === 'list')
    return text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
  return text
}

function checkTogether(settings: ServerSettings): ServerSettings {
  for (const name of ['PUBLIC_URL', 'CORS_ORIGINS'] as const)
    if (!settings[name].every((url) => URL.canParse(url)))
      throw invalid(name, { [name]: settings[name].join(',') })
  if (!readProxies(settings.TRUSTED_PROXIES))
    throw invalid('TRUSTED_PROXIES', { TRUSTED_PROXIES: settings.TRUSTED_PROXIES.join(',') })
  const { TLS_CERT_FILE: cert, TLS_KEY_FILE: key } = settings
  if ((cert === undefined) !== (key === undefined)) {
    const missing = cert === undefined ? 'TLS_CERT_FILE' : 'TLS_KEY_FILE'
    throw fleetError('FLT_CONFIG_INVALID', { key: missing, problem: 'is missing; TLS needs both files.' })
  }
  return settings
}

function tlsOf({ TLS_CERT_FILE: cert, TLS_KEY_FILE: key }: ServerSettings): Pick<ServerConfig, 'tls'> {
  return cert === undefined || key === undefined
    ? {}
    : { tls: { certFile: resolve(cert), keyFile: resolve(key) } }
}

function invalid(name: string, texts: Texts): Error {
  const setting = settingList.find((each) => each.name === name)
  const value = setting?.isSecret ? '' : `, not ${JSON.stringify(texts[name])}`
  return fleetError('FLT_CONFIG_INVALID', { key: name, problem: `${setting?.must}${value}.` })
}

function readArguments(argv: readonly string[]): Texts {
  const open = settingList.filter(({ isSecret }) => !isSecret)
  const options = Object.fromEntries(open.map(({ argument }) => [argument, { type: 'string' as const }]))
  try {
    const { values } = parseArgs({ args: [...argv], options })
    return Object.fromEntries(
      open.flatMap(({ name, argument }) => (argument in values ? [[name, String(values[argument])]] : [])),
    )
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message.split('. ')[0] : String(cause)
    const known = open.map(({ argument }) => `--${argument}`).join(', ')
    throw fleetError(
      'FLT_CONFIG_INVALID',
      { key: 'arguments', problem: `${problem}. Known: ${known}.` },
      { cause },
    )
  }
}

function defaultKeyFile(dataDir: string): string {
  const isInstalled = dataDir === installed.dataDir && existsSync(installed.keyDir)
  return join(isInstalled ? installed.keyDir : dataDir, 'master.key')
}

function noticesFor(settings: ServerSettings, dataDir: string): readonly string[] {
  const notices: string[] = []
  if (settings.DATABASE_URL !== undefined)
    notices.push(
      `DATABASE_URL is of the first FleetUpdate: that database is left untouched, and everything is now kept in ${dataDir}. See docs/migrating.md.`,
    )
  if (settings.SERVER_PSK !== undefined && settings.SERVER_PSK.length < 16)
    notices.push(
      'SERVER_PSK has less than 16 characters and may be guessed. Make one with: openssl rand -base64 32',
    )
  if (settings.UI_PASSWORD !== undefined && settings.UI_PASSWORD_HASH !== undefined)
    notices.push('UI_PASSWORD is ignored, because UI_PASSWORD_HASH is set too. Remove one of them.')
  return notices
}
