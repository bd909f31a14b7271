import { defineExecutor } from '@fleetupdate/sdk/executor'
import { logSizes } from './contract.ts'
import { sizeOf } from './size-of.ts'

export default defineExecutor(logSizes, {
  // #region facts
  facts: { total: { everySeconds: 300, collect: (context) => sizeOf('/var/log', context) } },
  // #endregion
  commands: {
    // #region measure
    async measure({ paths }, context) {
      const sizes = []
      for (const [done, path] of paths.entries()) {
        context.checkpoint()
        context.progress({ percent: (100 * done) / paths.length, message: path })
        const size = await sizeOf(path, context)
        context.write(`${path} holds ${size.complete ? '' : 'at least '}${size.bytes} bytes\n`)
        sizes.push({ path, ...size })
      }
      return { sizes }
    },
    // #endregion
    // #region follow
    async follow({ file }, { run }) {
      await run('tail', ['--follow=name', '--retry', '--lines=100', '--', file])
    },
    // #endregion
  },
})
