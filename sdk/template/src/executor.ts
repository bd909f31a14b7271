import { defineExecutor, type ExecutorContext } from '@fleetupdate/sdk/executor'
import { myPlugin } from './contract.ts'

export default defineExecutor(myPlugin, {
  facts: { usedPercent: { everySeconds: 60, collect: (context) => measure('/', context) } },
  commands: {
    async measure({ path }, context) {
      const usedPercent = await measure(path, context)
      context.write(`${path} is ${usedPercent} % full\n`)
      return { usedPercent }
    },
  },
})

async function measure(path: string, { run }: ExecutorContext): Promise<number> {
  const { stdout } = await run('df', ['--output=pcent', '--', path], { output: 'capture' })
  return Number.parseInt(stdout.split('\n')[1] ?? '', 10)
}
