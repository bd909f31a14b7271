import { type FileHandle, open } from 'node:fs/promises'

export interface Following {
  /** Hands over what was written since, and closes the file. Idempotent. */
  stop(): Promise<void>
}

const intervalMs = 250
const readBytes = 64 * 1024

/** Hands over each whole line of a file, from its beginning. A file that can't be read is followed as an empty one. */
export async function followLines(path: string, onLine: (line: string) => void): Promise<Following> {
  const file = await open(path, 'r').catch(() => undefined)
  if (file === undefined) return { stop: async () => {} }
  let position = 0
  const decoder = new TextDecoder()
  let rest = ''

  async function drain(handle: FileHandle): Promise<void> {
    const buffer = new Uint8Array(readBytes)
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, readBytes, position)
      if (bytesRead === 0) return
      position += bytesRead
      const lines = (rest + decoder.decode(buffer.subarray(0, bytesRead), { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) onLine(line)
    }
  }

  let reading: Promise<void> | undefined
  const timer = setInterval(() => {
    reading ??= drain(file).finally(() => {
      reading = undefined
    })
  }, intervalMs)
  let stopped: Promise<void> | undefined
  return {
    stop() {
      clearInterval(timer)
      stopped ??= (async () => {
        await reading
        await drain(file)
        await file.close()
      })()
      return stopped
    },
  }
}
