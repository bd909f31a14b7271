// Bundles the agent into self-contained files. Schemas become plain JSON while building: TypeBox itself would cost 5 MB at run time.
import { chmod, copyFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import { modulesAsJson } from '@fleetupdate/sdk/build'
import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))

/** Builds main.js and root-helper.js into a folder. Throws where something that does not belong into an agent got in. */
export async function buildAgent(outdir = join(here, 'dist')) {
  await rm(outdir, { recursive: true, force: true })
  const schemas =
    /[\\/](sdk[\\/]src[\\/](protocol[\\/]frames|contract[\\/]manifest)|agent[\\/]src[\\/]schemas)\.ts$/
  const { metafile } = await build({
    absWorkingDir: here,
    entryPoints: { main: 'src/main.ts', 'root-helper': 'src/privilege/root-helper.ts' },
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    conditions: ['source'],
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    metafile: true,
    plugins: [modulesAsJson('schemas-as-json', schemas)],
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  })
  const strangers = Object.values(metafile.outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .filter(([path, { bytesInOutput }]) => bytesInOutput > 0 && /node_modules\/typebox\//.test(path))
  if (strangers.length > 0)
    throw new Error(`The agent must not bundle TypeBox, but ${strangers[0][0]} got in.`)
  // sudo knows the helper by this name; it runs as a module because of the package.json beside it.
  await copyFile(join(outdir, 'root-helper.js'), join(outdir, 'root-helper'))
  await writeFile(join(outdir, 'package.json'), '{ "type": "module" }\n')
  await Promise.all(
    ['main.js', 'root-helper.js', 'root-helper'].map((file) => chmod(join(outdir, file), 0o755)),
  )
}

if (argv[1] === fileURLToPath(import.meta.url)) await buildAgent()
