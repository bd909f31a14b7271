import { execFileSync, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { repository } from '../repository.ts'

interface Step {
  readonly script: string
  /** Runs on until it printed that, and is then interrupted. */
  readonly until?: string
}

const page = readFileSync(join(repository, 'docs/guide/first-plugin.md'), 'utf8')
const offline = registryProblem()
if (offline !== undefined) console.warn(`Skipped: the guide, step by step. ${offline}`)
const home = mkdtempSync(join(tmpdir(), 'stranger-'))
let fleet: TestFleet

beforeAll(async () => {
  if (offline !== undefined) return
  execFileSync(process.execPath, [join(repository, 'deploy/packages/pack.mjs'), '--no-build'], {
    stdio: 'pipe',
  })
  fleet = await startTestFleet({ agents: [] })
})
afterAll(async () => {
  await fleet?.stop()
  rmSync(home, { recursive: true, force: true })
})

test('the page has the steps this test knows of', () => {
  expect(stepsOf(page).map(({ script }) => script.split('\n', 1)[0])).toEqual([
    expect.stringContaining('fleetupdate plugin new disk-health'),
    'npm run build',
    'npm run dev',
    'npx fleetupdate plugin keygen',
    expect.stringContaining('plugin install'),
  ])
})

test.skipIf(offline !== undefined)(
  'a stranger who types what the page says has a plugin on a running server in minutes',
  async () => {
    const began = performance.now()
    let folder = home
    let said = ''
    for (const step of stepsOf(page)) {
      const ended = await run(step, folder)
      expect(ended.code, `${step.script}\n${ended.output}`).toBe(0)
      said += ended.output
      folder = /^cwd (.*)$/m.exec(ended.output)?.[1] ?? folder
    }
    const seconds = (performance.now() - began) / 1000
    console.log(`The guide took ${seconds.toFixed(0)} s of machine time.`)
    expect(said).toContain('2 passed')
    expect(said).toContain('1 checked, nothing to fix')
    expect(said).toContain('✓ disk-health 0.1.0: server, executor, panel loaded')
    expect(said).toContain('disk-health 0.1.0 is active.')
    expect(said).toContain('disk-health is removed.')
    expect(seconds).toBeLessThan(15 * 60)
  },
  900_000,
)

/** The blocks of commands, in order, but those that are marked as not run here. */
function stepsOf(text: string): readonly Step[] {
  const blocks = text.matchAll(/(?:<!-- ([^\n]*) -->\n)?```sh\n([\s\S]*?)```/g)
  return [...blocks].flatMap(([, mark = '', script = '']) => {
    if (mark.startsWith('not run here')) return []
    const until = /^run: until "(.*)"$/.exec(mark)?.[1]
    return [until === undefined ? { script } : { script, until }]
  })
}

async function run({ script, until }: Step, cwd: string): Promise<{ code: number | null; output: string }> {
  const options: SpawnOptions = {
    cwd,
    // A group of its own, so that Ctrl-C reaches all of it, as in a terminal.
    detached: true,
    env: {
      ...process.env,
      HOME: home,
      NO_COLOR: '1',
      FORCE_COLOR: undefined,
      NODE_ENV: undefined,
      FLEETUPDATE: repository,
      FLEET_SERVER: fleet.url,
      FLEET_TOKEN: fleet.client.token,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  }
  const child = spawn('bash', ['-ec', until === undefined ? `${script}\necho "cwd $PWD"` : script], options)
  let output = ''
  let interrupted = false
  const read = (data: Buffer): void => {
    output += data
    if (until === undefined || interrupted || !output.includes(until)) return
    interrupted = true
    process.kill(-(child.pid ?? 0), 'SIGINT')
  }
  child.stdout?.on('data', read)
  child.stderr?.on('data', read)
  const [code] = (await once(child, 'close')) as [number | null]
  // npm itself ends with 130 after Ctrl-C; what matters is that dev said that it stopped.
  return { code: interrupted && output.includes('Stopped.') ? 0 : code, output }
}

function registryProblem(): string | undefined {
  try {
    execFileSync('npm', ['view', 'vue', 'version'], { stdio: 'pipe', timeout: 30_000 })
    return undefined
  } catch {
    return 'npm reaches no registry, and a stranger installs vite, vitest and vue from one.'
  }
}
