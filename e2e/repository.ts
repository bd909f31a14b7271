import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Root of the checkout. */
export const repository = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

/** The folders of the built-in capabilities, as `npm start` uses them. */
export const builtIns = {
  pluginDirs: [join(repository, 'plugins')],
  executorDirs: [join(repository, 'agent-plugins')],
}
