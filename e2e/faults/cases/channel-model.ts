import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import { openServerDisk } from '../channel/server-side.ts'
import { takeOverTime } from '../channel/virtual-time.ts'
import { type Action, World } from '../channel/world.ts'
import type { Fault } from '../fault.ts'

const to = fc.constantFrom('agent' as const, 'server' as const)
const which = fc.nat({ max: 9 })

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      lane: fc.boolean(),
      lines: fc.nat({ max: 3 }),
      hasty: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('resubmit' as const, 'force' as const), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), which }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('deliver' as const, 'deliver' as const, 'repeat' as const, 'drop' as const),
      to,
      which,
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('flush' as const), to }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('connect' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('disconnect' as const, 'restart-server' as const, 'kill-agent' as const),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('work' as const), which }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(500, 2000, 6000, 11_000, 40_000, 70_000),
    }),
  },
)

/** The server's real queue and the agent's real journal and dispatcher, with a channel that does anything to frames between them. */
export const channelModel: Fault = {
  name: 'channel-model',
  title: 'model of the channel: frames duplicated, reordered, dropped, either side restarted',
  required: '10,000 runs: 0 counterexamples to G1 to G8',
  sabotage: {
    what: 'the agent forgets its journal when it dies',
    file: 'agent',
    edits: [],
  },
  async run(lab) {
    const numRuns = lab.scale({ smoke: 200, full: 10_000 })
    // In memory where there is such a folder: what survives a power cut is another fault's question.
    const folder = await mkdtemp(join(await ramFolder(), 'faults-model-'))
    lab.onEnd(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
    const disk = await openServerDisk(join(folder, 'server'), pathToFileURL(lab.build.storeWorker))
    lab.onEnd(() => disk.close())
    let run = 0
    const property = fc.asyncProperty(fc.array(action, { minLength: 3, maxLength: 30 }), async (actions) => {
      if (++run % 500 === 0) lab.note(`run ${run}`)
      const time = takeOverTime()
      const home = join(folder, `run-${run}`)
      try {
        const world = await World.create(disk, time, home, { forgetful: lab.isSabotaged })
        try {
          for (const each of [{ do: 'connect' } as const, ...actions]) await world.apply(each)
          await world.heal()
          await world.check()
        } finally {
          await world.close()
        }
      } finally {
        time.restore()
        await rm(home, { recursive: true, force: true })
      }
    })
    const seed = lab.random.between(0, 2 ** 31 - 1)
    const result = await fc.check(property, {
      numRuns,
      seed,
      interruptAfterTimeLimit: lab.scale({ smoke: 60_000, full: 900_000 }),
    })
    if (result.failed && result.counterexample)
      return {
        passed: false,
        reached: `counterexample after ${result.numRuns} runs: ${describe(result.errorInstance)}\n${JSON.stringify(result.counterexample[0])}`,
      }
    return { passed: result.numRuns >= numRuns, reached: `${result.numRuns} runs: 0 counterexamples` }
  },
}

async function ramFolder(): Promise<string> {
  const { access } = await import('node:fs/promises')
  return access('/dev/shm').then(
    () => '/dev/shm',
    () => tmpdir(),
  )
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
