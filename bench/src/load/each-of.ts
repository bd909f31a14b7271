/** Runs a function for each value, so many at a time; rejects with the first failure. */
export async function eachOf<T>(
  values: readonly T[],
  atOnce: number,
  run: (value: T) => Promise<void>,
): Promise<void> {
  let next = 0
  const work = async (): Promise<void> => {
    while (next < values.length) await run(values[next++] as T)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, values.length) }, work))
}
