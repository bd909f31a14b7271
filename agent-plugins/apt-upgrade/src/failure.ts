/** What is known of a failed apt or dpkg. */
export interface FailureEvidence {
  /** The end of its output. */
  readonly text: string
  /** Errors of single packages from apt's status file. */
  readonly errors: readonly { readonly package: string; readonly message: string }[]
}

interface Rule {
  readonly pattern: RegExp
  readonly explain: (match: RegExpExecArray, text: string) => string
}

const maximumLength = 600

/** In the order of what a person must know first. */
const rules: readonly Rule[] = [
  {
    // Lines that tell of waiting for a lock also stand before failures of another kind: only the refusal counts.
    pattern:
      /^E: (?:Could not get lock|Unable to acquire|Unable to lock) .*|^dpkg: error: .*locked by another process.*/m,
    explain: (_, text) =>
      `The package system is in use by ${lockHolder(text)}. Try again when that has ended.`,
  },
  {
    pattern: /enough free space in (\S+?)\.?$|No space left on device/m,
    explain: ([, folder]) =>
      `There is not enough disk space${folder === undefined ? '' : ` in ${folder}`}. Free some, then run the upgrade again.`,
  },
  {
    pattern: /Failed to fetch (\S+) +(?:File has unexpected size|Hash Sum mismatch)/,
    explain: ([, file]) =>
      `${file} is not what the index says (wrong size or hash). Run os-updates.refresh, then plan again.`,
  },
  {
    pattern: /Unable to locate package (\S+)/,
    explain: ([, name]) =>
      `No repository offers the package ${name}. Run os-updates.refresh, or correct the name.`,
  },
  {
    pattern: /Packages need to be removed but remove is disabled/,
    explain: () =>
      'This upgrade would remove packages, which is never done unasked. Upgrade on the host by hand.',
  },
  {
    pattern: /Failed to fetch (\S+) +(.+)/,
    explain: ([, file, why]) => `${file} could not be downloaded: ${why}`,
  },
]

/** One line that says why apt or dpkg failed, and what to do where that is known. */
export function explainFailure({ text, errors }: FailureEvidence): string {
  const all = [text, ...errors.map((error) => error.message)].join('\n')
  const rule = rules.flatMap(({ pattern, explain }) => {
    const match = pattern.exec(all)
    return match === null ? [] : [explain(match, all)]
  })[0]
  return cut(rule ?? packageErrors(errors) ?? packageErrors(dpkgErrors(text)) ?? aptErrors(text))
}

function lockHolder(text: string): string {
  const [, pid, command] =
    [...text.matchAll(/held by process (\d+)(?: \(([^)\n]*)\))?|another process with pid (\d+)/g)]
      .map(([match, number, name, plain]) => [match, number ?? plain, name])
      .at(-1) ?? []
  if (pid === undefined) return 'another process'
  return command === undefined ? `process ${pid}` : `process ${pid} (${command})`
}

function packageErrors(errors: FailureEvidence['errors']): string | undefined {
  const reasons = errors.map((error) => `${packageOf(error.package)}: ${error.message}`)
  return reasons.length === 0 ? undefined : [...new Set(reasons)].join('; ')
}

/** `dpkg: error processing package NAME (--configure):`, and its reason on the next line. */
function dpkgErrors(text: string): FailureEvidence['errors'] {
  const pattern = /^dpkg: error processing (?:package|archive) (\S+) \(--[a-z-]+\):\n +(.+)$/gm
  return [...text.matchAll(pattern)].map(([, name = '', message = '']) => ({
    package: packageOf(name),
    message,
  }))
}

/** dpkg names an archive by its path: `/var/cache/apt/archives/curl_8.0_amd64.deb`. */
function packageOf(name: string): string {
  return (name.split('/').at(-1) ?? name).split('_')[0] ?? name
}

function aptErrors(text: string): string {
  const lines = text.split('\n').flatMap((line) => /^(?:E|dpkg: error): (.+)$/.exec(line.trim())?.[1] ?? [])
  return lines.length === 0 ? 'apt failed; its output says why.' : [...new Set(lines)].join('; ')
}

function cut(reason: string): string {
  return reason.length <= maximumLength ? reason : `${reason.slice(0, maximumLength - 1)}…`
}
