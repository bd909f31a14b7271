/** The name of the key after this one: `k1`, `k2`, … One agent never has two keys of a name. */
export function kidAfter(kid: string): string {
  const number = /^k(\d{1,9})$/.exec(kid)?.[1] ?? '0'
  return `k${Number(number) + 1}`
}
