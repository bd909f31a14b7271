import { join } from 'node:path'
import { build } from 'esbuild'
import { repository } from '../../repository.ts'
import type { Lab } from '../fault.ts'

/** Bundles a program of this folder, so that it runs as a process of its own; answers its path. */
export async function bundleProgram(lab: Lab, name: string): Promise<string> {
  // Below the checkout, where what stays external is found.
  const outfile = join(lab.build.folder, `${name.replace(/\.ts$/, '')}.mjs`)
  await build({
    entryPoints: [join(repository, 'e2e/faults/programs', name)],
    absWorkingDir: repository,
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    conditions: ['source'],
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
  return outfile
}
