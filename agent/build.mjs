// Bundles the agent into self-contained files. Schemas become plain JSON while building: TypeBox itself would cost 5 MB at run time.
import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import { modulesAsJson } from '@fleetupdate/sdk/build'
import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))

/** The programs, and the names by which people, sudo, systemd and each other start them. */
const programs = {
  main: 'main.js',
  'root-helper': 'root-helper',
  'agent-updater': 'agent-updater',
  'bundle-keeper': 'bundle-keeper',
  'executor-process': 'executor-process.js',
}

// A machine may have no `node` in root's path, only the one that was installed beside these files. Read as a shell script, the second line
// finds it; read as JavaScript, it is a string and a comment.
const anyNode = `#!/bin/sh
':' //; p=$(readlink -f "$0") && n="\${p%/*}/node/bin/node"; [ -x "$n" ] || n=node; exec "$n" "$p" "$@"
`

/** Builds the agent's programs into a folder. Throws where something that does not belong into an agent got in. */
export async function buildAgent(outdir = join(here, 'dist'), { version } = {}) {
  await rm(outdir, { recursive: true, force: true })
  const schemas =
    /[\\/](sdk[\\/]src[\\/](protocol[\\/]frames|contract[\\/]manifest|bundle[\\/](statement|envelope-schema|agent-release))|agent[\\/]src[\\/]schemas)\.ts$/
  const { metafile } = await build({
    absWorkingDir: here,
    entryPoints: {
      main: 'src/main.ts',
      'root-helper': 'src/privilege/root-helper.ts',
      'agent-updater': 'src/update/agent-updater.ts',
      'bundle-keeper': 'src/keeper/bundle-keeper.ts',
      'executor-process': 'src/isolation/executor-process.ts',
    },
    // A program of root makes no code at run time.
    alias: { 'typebox/compile': './src/keeper/compile.ts' },
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
    ...(version === undefined ? {} : { define: { __FLEET_VERSION__: JSON.stringify(version) } }),
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
  // They run as modules because of the package.json beside them.
  for (const [built, name] of Object.entries(programs)) {
    const code = await readFile(join(outdir, `${built}.js`), 'utf8')
    await rm(join(outdir, `${built}.js`))
    await writeFile(join(outdir, name), code.replace(/^#!.*\n/, anyNode))
    await chmod(join(outdir, name), 0o755)
  }
  await writeFile(join(outdir, 'package.json'), '{ "type": "module" }\n')
}

if (argv[1] === fileURLToPath(import.meta.url)) await buildAgent()
