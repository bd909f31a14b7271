/** What is known of a failed apt or dpkg. */
export interface FailureEvidence {
  /** The end of its output. */
  readonly text: string
  /** Errors of single packages from apt's status file. */
  readonly errors: readonly { readonly package: string; readonly message: string }[]
}

interface Rule {
  readonly pattern: RegExp
  readonly explain: (match: RegExpExecArray) => string
}

const maximumLength = 600

/** In the order of what a person must know first. */
const rules: readonly Rule[] = [
  {
    pattern: /held by process (\d+)(?: \(([^)\n]*)\))?/,
    explain: ([, pid, command]) =>
      `The package system is in use by process ${pid} (${command ?? 'unknown'}). Try again when that has ended.`,
  },
  {
    pattern:
      /(?:lock|another process using it).*\n?.*is another process using it\?|is another process using it\?/,
    explain: () => 'The package system is in use by another process. Try again when that has ended.',
  },
  {
    pattern: /enough free space in (\S+?)\.?$|No space left on device/m,
    explain: ([, folder]) =>
      `There is not enough disk space${folder === undefined ? '' : ` in ${folder}`}. Free some, then run the upgrade again.`,
  },
  {
    pattern: /Failed to fetch (\S+) +(?:File has unexpected size|Hash Sum mismatch)|Hash Sum mismatch/,
    explain: ([, file]) =>
      `${file ?? 'A package'} is not what the index says (wrong size or hash). Run os-updates.refresh, then plan again.`,
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

/** One line that says why apt or dpkg failed, and what to do where that is known; `undefined` where the evidence says nothing. */
export function explainFailure({ text, errors }: FailureEvidence): string {
  const rule = rules.flatMap(({ pattern, explain }) => {
    const match = pattern.exec(text)
    return match === null ? [] : [explain(match)]
  })[0]
  return cut(rule ?? packageErrors(errors) ?? packageErrors(dpkgErrors(text)) ?? aptErrors(text))
}

function packageErrors(errors: FailureEvidence['errors']): string | undefined {
  const reasons = errors.map((error) => `${error.package}: ${error.message}`)
  return reasons.length === 0 ? undefined : [...new Set(reasons)].join('; ')
}

/** `dpkg: error processing package NAME (--configure):`, and its reason on the next line. */
function dpkgErrors(text: string): FailureEvidence['errors'] {
  const pattern = /^dpkg: error processing (?:package|archive) (\S+) \(--[a-z-]+\):\n +(.+)$/gm
  return [...text.matchAll(pattern)].map(([, name = '', message = '']) => ({ package: name, message }))
}

function aptErrors(text: string): string {
  const lines = text.split('\n').flatMap((line) => /^(?:E|dpkg: error): (.+)$/.exec(line.trim())?.[1] ?? [])
  return lines.length === 0 ? 'apt failed; its output says why.' : [...new Set(lines)].join('; ')
}

function cut(reason: string): string {
  return reason.length <= maximumLength ? reason : `${reason.slice(0, maximumLength - 1)}…`
}
