import type { Sample } from '../series-metrics.ts'

/** A sample as an agent sends it, with what a test wants to be otherwise. */
export function aSample(parts: Partial<Sample> = {}): Sample {
  return {
    cpu: 12.5,
    cores: 2,
    load: [0.42, 0.3, 0.2],
    memory: { total: 1000, used: 250, available: 750 },
    swap: { total: 0, used: 0 },
    disks: [
      { mount: '/', used: 30, total: 100 },
      { mount: '/srv', used: 81, total: 90 },
    ],
    network: { rx: 5_000_000_000, tx: 1234 },
    uptime: 100,
    ...parts,
  }
}
