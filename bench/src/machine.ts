import { cpus, loadavg, totalmem } from 'node:os'

/** The machine that figures belong to, and how busy it was before. */
export function describeMachine(): string {
  const [cpu] = cpus()
  const gib = Math.round(totalmem() / 2 ** 30)
  const day = new Date().toISOString().slice(0, 10)
  return `${cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), ${gib} GiB, Node ${process.versions.node}, ${day}, load before the run ${loadavg()[0]?.toFixed(1)}`
}
