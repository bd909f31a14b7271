import { build, type Plugin } from 'esbuild'

/**
 * Bundles a module named `contract.ts` as its data: contracts keep id, facts and commands as plain JSON, lose their facets, and drag in
 * no TypeBox, which would cost an agent 5 MB of memory. Functions such a module exports are left out.
 */
export function contractAsJson(): Plugin {
  return modulesAsJson('contract-as-json', /[\\/]contract\.[cm]?[jt]s$/)
}

/**
 * Evaluates the modules whose path matches while building, and bundles their exported data instead of their code. A module that exports
 * functions alone stays as it is. Throws (as a build error) where a module cannot be evaluated on its own.
 */
export function modulesAsJson(name: string, filter: RegExp): Plugin {
  return {
    name,
    setup({ initialOptions, onLoad }) {
      onLoad({ filter }, async ({ path }) => {
        const exported = await evaluate(path, initialOptions.conditions ?? [])
        const data = Object.entries(exported).filter(([, value]) => typeof value !== 'function')
        if (data.length === 0) return undefined
        return { contents: data.map(([key, value]) => exportLine(key, value)).join('\n'), loader: 'js' }
      })
    },
  }
}

async function evaluate(path: string, conditions: string[]): Promise<Record<string, unknown>> {
  const { outputFiles } = await build({
    entryPoints: [path],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    logLevel: 'silent',
    conditions,
  })
  const code = outputFiles[0]?.text ?? ''
  return import(`data:text/javascript;base64,${Buffer.from(code).toString('base64')}`)
}

function exportLine(key: string, value: unknown): string {
  const text = JSON.stringify(isContract(value) ? { ...value, facets: {} } : value)
  const parsed = `JSON.parse(${JSON.stringify(text)})`
  return key === 'default' ? `export default ${parsed}` : `export const ${key} = ${parsed}`
}

function isContract(value: unknown): value is object {
  return typeof value === 'object' && value !== null && 'facets' in value && 'commands' in value
}
