// vue-tsc needs the classic TypeScript compiler, which only this package has; the rest of the repository uses the native one.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
require('vue-tsc').run(require.resolve('typescript/lib/tsc'))
