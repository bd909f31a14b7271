/**
 * The newest installed kernel of the running one's kind (`cloud-amd64`, `generic`), itself where none is newer; null where the running one is
 * not among the installed ones (containers, kernels from outside): then nothing can be told.
 *
 * @example
 * newestLike('6.1.0-35-amd64', ['6.1.0-35-amd64', '6.1.0-37-amd64'])   // '6.1.0-37-amd64'
 */
export function newestLike(running: string, installed: readonly string[]): string | null {
  if (!installed.includes(running)) return null
  return installed
    .filter((release) => kind(release) === kind(running))
    .reduce((newest, release) => (compare(release, newest) > 0 ? release : newest), running)
}

/** What is left without the numbers in front: `-cloud-amd64` of `6.1.0-35-cloud-amd64`. */
function kind(release: string): string {
  return release.replace(/^[\d.]+(-[\d.]+)?/, '')
}

function compare(a: string, b: string): number {
  const [left, right] = [a.split(/\D+/).map(Number), b.split(/\D+/).map(Number)]
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
