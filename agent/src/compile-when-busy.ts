import { setFlagsFromString } from 'node:v8'

/** Bytes of output after which compiled code is worth its memory. */
const muchBytes = 512 * 1024

let carriedBytes = 0

/** An agent that carries much output is not idle any more: from then on it compiles what it does often (see `spare-memory.ts`). */
export function carried(bytes: number): void {
  if (carriedBytes >= muchBytes) return
  carriedBytes += bytes
  if (carriedBytes < muchBytes) return
  for (const flag of ['--opt', '--sparkplug']) setFlagsFromString(flag)
}
