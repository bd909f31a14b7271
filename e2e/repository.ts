import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Root of the checkout. */
export const repository = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

/** The folder of the built-in executors, as `npm start` gives it to its agent; the server finds its plugins itself. */
export const builtIns = {
  executorDirs: [join(repository, 'agent-plugins')],
}
