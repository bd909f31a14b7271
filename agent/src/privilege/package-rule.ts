import { spawnSync } from 'node:child_process'
import type { HostPolicy } from './policy-file.ts'
import { excludes } from './policy-rules.ts'

const changing = ['install', 'upgrade', 'dist-upgrade', 'full-upgrade']

/**
 * The rule that forbids a call of apt-get because of its packages; undefined where none does. What comes along with the named ones counts too:
 * apt itself is asked what it would change. In security-only mode each named package must have a fix pending from a security archive.
 */
export function packageRule(
  policy: HostPolicy,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): string | undefined {
  if (!/\/apt(-get)?$/.test(program) || !args.some((one) => changing.includes(one))) return undefined
  const ask = (asked: string, list: readonly string[]): string | undefined => {
    const options = {
      env,
      cwd: '/',
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
      timeout: 120_000,
    } as const
    const { status, stdout } = spawnSync(asked, list, {
      ...options,
      stdio: ['ignore', 'pipe', 'ignore', 'ignore'],
    })
    return status === 0 ? stdout : undefined
  }
  if (policy.excluded.length > 0) {
    const said = ask(program, ['--simulate', ...args])
    if (said === undefined) return 'rule "packages": apt does not say what it would change.'
    const names = [...said.matchAll(/^(?:Inst|Remv|Purg) (\S+)/gm)].map(([, name = '']) => name)
    const excluded = names.find((name) => excludes(policy, name))
    if (excluded !== undefined) return `rule "packages": ${excluded} is never changed on this machine.`
  }
  const named = args.includes('--') ? args.slice(args.indexOf('--') + 1) : []
  if (policy.mode !== 'security-only' || named.length === 0) return undefined
  const stanzas = ask('/usr/bin/apt-cache', ['policy', '--', ...named])?.split(/^(?=\S+:$)/m) ?? []
  // Above the installed version (***) stand the newer ones, each with the archives that offer it.
  const isFix = (one: string): boolean =>
    /[\s/-]security[\s/]/i.test(one.split('\n *** ')[0]?.split('table:')[1] ?? '')
  const isAllowed = stanzas.length >= named.length && stanzas.every(isFix)
  return isAllowed ? undefined : 'rule "mode": this machine takes security changes alone.'
}
