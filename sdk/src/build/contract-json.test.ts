import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, describe, expect, test } from 'vitest'
import { contractAsJson } from './contract-json.ts'

// Beside the sdk's own sources, where the packages a contract imports are found.
const dir = mkdtempSync(fileURLToPath(new URL('./.contract-', import.meta.url)))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

async function bundle(
  contract: string,
  entry: string,
): Promise<{ text: string; module: Record<string, unknown> }> {
  mkdirSync(join(dir, 'src'), { recursive: true })
  writeFileSync(join(dir, 'src', 'contract.ts'), contract)
  writeFileSync(join(dir, 'src', 'index.ts'), entry)
  const { outputFiles } = await build({
    entryPoints: [join(dir, 'src', 'index.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    conditions: ['source'],
    logLevel: 'silent',
    plugins: [contractAsJson()],
  })
  const text = outputFiles[0]?.text ?? ''
  return { text, module: await import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`) }
}

describe('a contract in an executor bundle', () => {
  test('is plain JSON without facets, and brings no TypeBox along', async () => {
    const { text, module } = await bundle(
      `import { defineContract, Type } from '@fleetupdate/sdk'
       export const limit = 5
       export const demo = defineContract('demo', {
         facts: { "it's": Type.Optional(Type.String({ pattern: '^[\\\\w"]+$' })) },
         facets: { x: () => 1 },
         commands: { go: { input: Type.Object({}, { additionalProperties: false }) } },
       })`,
      `export { demo, limit } from './contract.ts'`,
    )
    expect(module.limit).toBe(5)
    expect(module.demo).toEqual({
      id: 'demo',
      facets: {},
      facts: { "it's": { type: 'string', pattern: '^[\\w"]+$' } },
      commands: { go: { input: { type: 'object', properties: {}, additionalProperties: false } } },
    })
    expect(text.length).toBeLessThan(1000)
  })

  test('is an error of the build where its module cannot be evaluated', async () => {
    await expect(
      bundle(`throw new Error('no')\nexport const x = 1`, `export * from './contract.ts'`),
    ).rejects.toThrow(/no/)
  })

  test('leaves a module of functions alone as it is', async () => {
    const { module } = await bundle(
      `export const twice = (n: number) => n * 2`,
      `export * from './contract.ts'`,
    )
    expect((module.twice as (n: number) => number)(2)).toBe(4)
  })
})
