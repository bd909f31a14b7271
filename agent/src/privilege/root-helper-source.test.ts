import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { beforeAll, describe, expect, test } from 'vitest'
import { sudoersLine } from './sudoers.ts'

const here = dirname(fileURLToPath(import.meta.url))
const repository = join(here, '../../..')

/** Lines that hold code: no empty ones, no comments. */
function codeLines(file: string): number {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter((line) => !/^\s*($|\/\/|\/\*|\*)/.test(line)).length
}

describe('what runs as root', () => {
  let inputs: readonly string[] = []
  beforeAll(async () => {
    const { metafile } = await build({
      ...{
        absWorkingDir: repository,
        entryPoints: [join(here, 'root-helper.ts')],
        bundle: true,
        write: false,
      },
      ...{ platform: 'node', format: 'esm', conditions: ['source'], metafile: true, logLevel: 'silent' },
    })
    const [output] = Object.values(metafile.outputs)
    inputs = Object.entries(output?.inputs ?? {}).flatMap(([path, { bytesInOutput }]) =>
      bytesInOutput > 0 ? [path] : [],
    )
  })

  test('is fewer than 300 lines of its own', () => {
    expect(codeLines(join(here, 'root-helper.ts'))).toBeLessThan(300)
  })

  test('uses no library but the reader of YAML', () => {
    const libraries = inputs.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? [])
    expect([...new Set(libraries)]).toEqual(['yaml'])
  })

  test('uses small modules of the agent alone, and all of them together stay readable in one sitting', () => {
    const own = inputs.filter(
      (path) => path.startsWith('agent/src/privilege/') && !path.endsWith('root-helper.ts'),
    )
    const lines = own.map((path) => codeLines(join(repository, path)))
    expect(Math.max(...lines)).toBeLessThan(100)
    expect(lines.reduce((sum, one) => sum + one, 0)).toBeLessThan(240)
  })
})

const hasVisudo = existsSync('/usr/sbin/visudo')
test.skipIf(!hasVisudo)('the sudoers file is one exact line, and sudo accepts it', () => {
  const file = join(repository, 'deploy/sudoers/orchestrator-agent')
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  expect(lines).toEqual([sudoersLine()])
  const { status, stdout, stderr } = spawnSync('/usr/sbin/visudo', ['-c', '-q', '-s', '-f', file], {
    encoding: 'utf8',
  })
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' })
  expect(readFileSync(join(repository, 'deploy/install-agent.sh'), 'utf8')).toContain(`'${sudoersLine()}'`)
})
