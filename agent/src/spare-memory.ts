import { setFlagsFromString } from 'node:v8'

/**
 * Compiled code costs an agent 6 MB (55.6 → 49.5 MB resident, 12.5 → 10.4 MB anonymous, measured a minute after the start) and saves it nothing
 * while it idles. To be imported before everything else. See decision 0130, and `compile-when-busy.ts`.
 */
for (const flag of ['--no-opt', '--no-sparkplug']) setFlagsFromString(flag)
