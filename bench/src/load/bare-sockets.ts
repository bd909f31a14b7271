import type { Socket } from 'node:net'
import { eachOf } from './each-of.ts'
import { openFrameSocket } from './frame-load.ts'

/** Opens bare WebSockets, `atOnce` under way at a time. */
export async function openBareSockets(
  url: string,
  count: number,
  atOnce: number,
): Promise<readonly Socket[]> {
  const sockets: Socket[] = []
  await eachOf(
    Array.from({ length: count }, (_, i) => i),
    atOnce,
    async () => void sockets.push((await openFrameSocket(url, {}, 0)).socket),
  )
  return sockets
}
