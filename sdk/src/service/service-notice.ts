/** What a service tells systemd about itself. Does nothing where systemd did not ask for it (`Type=notify`, `WatchdogSec=`). */
export interface ServiceNotice {
  /** It serves; one line for `systemctl status`. */
  ready(status: string): void
  status(status: string): void
  stopping(): void
  /**
   * Keeps the watchdog content, twice within its time and only while each `proof` comes back true: a proof that hangs is a service that
   * hangs, and systemd restarts it. Ends with the signal.
   */
  watch(proof: () => Promise<boolean>, signal: AbortSignal): void
}

type Environment = Readonly<Record<string, string | undefined>>

/** Starts a program with an environment and does not wait for it. */
export type StartNotifier = (
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
) => void

const notifier = '/usr/bin/systemd-notify'

/**
 * Node cannot write to systemd's datagram socket, so systemd's own program does: a process of a few milliseconds, twice within the watchdog's
 * time and when the state changes. The unit needs `NotifyAccess=all` for it.
 */
export function createServiceNotice(env: Environment, start: StartNotifier): ServiceNotice {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdog } = env
  const tell = (...args: readonly string[]): void => {
    if (socket) start(notifier, args, { NOTIFY_SOCKET: socket })
  }
  const everyMs = Number(watchdog) / 2000
  return {
    ready: (status) => tell('--ready', `--status=${line(status)}`),
    status: (status) => tell(`--status=${line(status)}`),
    stopping: () => tell('STOPPING=1'),
    watch(proof, signal) {
      if (!(everyMs >= 1)) return
      let timer: NodeJS.Timeout | undefined
      const round = async (): Promise<void> => {
        if (await proof().catch(() => false)) tell('WATCHDOG=1')
        if (!signal.aborted) timer = setTimeout(round, everyMs)
      }
      signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
      void round()
    },
  }
}

/** systemd reads lines: what comes from elsewhere must not add one. */
function line(text: string): string {
  return text.replaceAll(/[\r\n\0]+/g, ' ').slice(0, 200)
}
