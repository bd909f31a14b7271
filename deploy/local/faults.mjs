// `npm run faults`: sets itself up, then runs the fault lab; one row per fault. `npm run faults -- --help` lists them.
import { prepare } from './setup.mjs'

await prepare()
// Only now: on a fresh machine its dependencies were not there yet.
await import('./run-faults.mjs')
