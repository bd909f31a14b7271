/** Where the writer's thread starts: `store-worker.js` beside the built server, or bundled on the fly from the sources. */
export async function workerLocation(): Promise<URL> {
  if (!import.meta.url.endsWith('.ts')) return new URL('./store-worker.js', import.meta.url)
  // Not a literal, so that the server's bundle holds neither this loader nor esbuild.
  const loader = new URL('./worker-from-source.ts', import.meta.url).href
  const { workerFromSource } = (await import(
    /* @vite-ignore */ loader
  )) as typeof import('./worker-from-source.ts')
  return workerFromSource()
}
