/** One message of apt's status descriptor. */
export interface AptStatus {
  readonly kind: 'download' | 'install' | 'error' | 'conffile'
  /** '' where the message is about no single package. */
  readonly package: string
  /** 0 to 100, of this phase. */
  readonly percent: number
  readonly message: string
}

const kinds: Readonly<Record<string, AptStatus['kind']>> = {
  dlstatus: 'download',
  pmstatus: 'install',
  pmerror: 'error',
  pmconffile: 'conffile',
}

/** Reads one line that apt wrote to `APT::Status-Fd`; `undefined` for what is none. The name may hold a colon (`libc6:i386`). */
export function parseAptStatus(line: string): AptStatus | undefined {
  const [, word = '', name = '', percent, message = ''] =
    /^([a-z]+):(.*?):(\d+(?:\.\d+)?):(.*)$/.exec(line) ?? []
  const kind = kinds[word]
  if (kind === undefined || percent === undefined) return undefined
  return {
    kind,
    package: kind === 'download' ? '' : name,
    percent: Math.min(100, Number(percent)),
    message: message.trim(),
  }
}
