/**
 * Whether a newer kernel of the running one's kind is installed than the one that runs. `false` where the running kernel is not among the
 * installed ones (containers, kernels from outside): then nothing can be told.
 *
 * @example
 * newerKernelInstalled('6.1.0-35-amd64', ['6.1.0-35-amd64', '6.1.0-37-amd64'])   // true
 */
export function newerKernelInstalled(running: string, installed: readonly string[]): boolean {
  if (!installed.includes(running)) return false
  return installed.some((other) => flavour(other) === flavour(running) && compareReleases(other, running) > 0)
}

/** The words at the end: `cloud-amd64` of `6.1.0-35-cloud-amd64`. */
function flavour(release: string): string {
  return /-([a-z][a-z0-9_-]*)$/i.exec(release.replace(/^[\d.]+(-\d+)?/, ''))?.[1] ?? ''
}

function compareReleases(a: string, b: string): number {
  const [left, right] = [a.split(/[^0-9]+/), b.split(/[^0-9]+/)]
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = Number(left[i] ?? 0) - Number(right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
