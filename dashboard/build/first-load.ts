import { gzipSync } from 'node:zlib'
import type { Plugin, Rolldown } from 'vite'

/** Prints how much gzipped script the first page loads, and fails the build where that is above the budget (in kB of 1000). */
export function firstLoad(budgetKb: number): Plugin {
  return {
    name: 'fleetupdate:first-load',
    apply: 'build',
    enforce: 'post',
    generateBundle(_options, bundle) {
      const first = firstFiles(bundle)
      const bytes = first.reduce((sum, code) => sum + gzipSync(code, { level: 9 }).length, 0)
      const line = `first load: ${(bytes / 1000).toFixed(1)} kB of gzipped script in ${first.length} files (budget ${budgetKb} kB)`
      if (bytes > budgetKb * 1000) this.error(line)
      this.info(line)
    },
  }
}

/** The page's own module with all it imports at once, its first page, and the shared modules. */
function firstFiles(bundle: Rolldown.OutputBundle): string[] {
  const seen = new Set<string>()
  const visit = (name: string): void => {
    const file = bundle[name]
    if (seen.has(name) || file?.type !== 'chunk') return
    seen.add(name)
    for (const next of file.imports) visit(next)
  }
  for (const file of Object.values(bundle))
    if (file.type === 'chunk' && (file.isEntry || /FleetPage|messages\/fr/.test(file.facadeModuleId ?? '')))
      visit(file.fileName)
  const chunks = [...seen].flatMap((name) => {
    const file = bundle[name]
    return file?.type === 'chunk' ? [file.code] : []
  })
  const shared = Object.values(bundle).flatMap((file) =>
    file.type === 'asset' && file.fileName.startsWith('assets/shared-') ? [String(file.source)] : [],
  )
  return [...chunks, ...shared]
}
