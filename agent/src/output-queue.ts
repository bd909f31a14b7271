import { performance } from 'node:perf_hooks'
import { limits } from '@fleetupdate/sdk/protocol'
import { boundaryBefore, type OutputPoint } from './output-text.ts'

interface Chunk {
  readonly offset: number
  readonly end: number
  readonly bytes: Buffer
  /** Where in the file the chunk ends, where that is known. */
  readonly point: OutputPoint | undefined
}

/** Text on its way to the server: held until acknowledged, sent again where it must be, never more than 1 MiB at once. */
export class OutputQueue {
  readonly #send: (chunk: { offset: number; end: number; text: string }) => boolean
  #chunks: Chunk[] = []
  #queuedBytes = 0
  /** How many of the chunks were sent in this session, and their bytes. */
  #sent = 0
  #sentBytes = 0
  #acknowledged = 0
  #heardMs = performance.now()
  #repeatedMs = Number.NEGATIVE_INFINITY
  #acknowledgedPoint: OutputPoint | undefined

  constructor(send: (chunk: { offset: number; end: number; text: string }) => boolean) {
    this.#send = send
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0
  }

  /** Up to where the server has it. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** A whole window waits: whoever adds should wait too. */
  get isFull(): boolean {
    return this.#queuedBytes >= limits.outputWindowBytes
  }

  /** The last place in the file before which all is acknowledged. */
  get acknowledgedPoint(): OutputPoint | undefined {
    return this.#acknowledgedPoint
  }

  /** How long something was sent without any answer. */
  get silentMs(): number {
    return this.#sent === 0 ? 0 : performance.now() - this.#heardMs
  }

  /** Adds valid UTF-8 in chunks of at most 64 KiB; `point` is where it ends in the file. */
  add(bytes: Buffer, offset: number, point?: OutputPoint): void {
    for (let at = 0; at < bytes.length; ) {
      const next =
        at + 65536 >= bytes.length ? bytes.length : boundaryBefore(bytes, at + limits.outputFrameBytes)
      const last = next === bytes.length
      this.#push({
        offset: offset + at,
        end: offset + next,
        bytes: bytes.subarray(at, next),
        point: last ? point : undefined,
      })
      at = next
    }
  }

  /** Adds a text that stands for everything between two offsets. */
  addMarker(bytes: Buffer, offset: number, end: number): void {
    this.#push({ offset, end, bytes, point: undefined })
  }

  /** Sends what the window has room for. */
  flush(): void {
    for (let chunk = this.#chunks[this.#sent]; chunk; chunk = this.#chunks[this.#sent]) {
      if (this.#sentBytes > 0 && this.#sentBytes + chunk.bytes.length > limits.outputWindowBytes) return
      const { offset, end, bytes } = chunk
      if (!this.#send({ offset, end, text: bytes.toString('utf8') })) return
      if (this.#sent === 0) this.#heardMs = performance.now()
      this.#sent += 1
      this.#sentBytes += bytes.length
    }
  }

  /** Everything that is not acknowledged counts as not sent. */
  resend(): void {
    this.#sent = 0
    this.#sentBytes = 0
    this.#heardMs = performance.now()
  }

  /**
   * The server has everything up to here. The same offset a second time means that what followed did not fit there: it is sent again, at most
   * once a second. True where it has less than it once said.
   */
  acknowledge(offset: number): boolean {
    if (offset < this.#acknowledged) return true
    const repeated = offset === this.#acknowledged && this.#sent > 0
    if (repeated && performance.now() - this.#repeatedMs > 1000) {
      this.#repeatedMs = performance.now()
      this.resend()
    }
    if (offset === this.#acknowledged) return false
    this.#acknowledged = offset
    this.#heardMs = performance.now()
    for (let first = this.#chunks[0]; first && first.end <= offset; first = this.#chunks[0]) {
      this.#chunks.shift()
      this.#queuedBytes -= first.bytes.length
      if (first.point) this.#acknowledgedPoint = first.point
      if (this.#sent === 0) continue
      this.#sent -= 1
      this.#sentBytes -= first.bytes.length
    }
    this.#trimFirst()
    return false
  }

  /** Forgets all chunks. */
  clear(): void {
    this.#chunks = []
    this.#queuedBytes = 0
    this.resend()
  }

  /** Goes on from an earlier offset; the chunks were cleared before. */
  rewind(offset: number): void {
    this.#acknowledged = offset
    this.#acknowledgedPoint = undefined
  }

  #push(chunk: Chunk): void {
    if (chunk.end <= this.#acknowledged) {
      this.#acknowledgedPoint = chunk.point ?? this.#acknowledgedPoint
      return
    }
    const trimmed = withoutHead(chunk, this.#acknowledged)
    this.#chunks.push(trimmed)
    this.#queuedBytes += trimmed.bytes.length
  }

  /** Of a chunk that is acknowledged in part, the next try sends only the rest. */
  #trimFirst(): void {
    const [first] = this.#chunks
    if (!first || first.offset >= this.#acknowledged) return
    const trimmed = withoutHead(first, this.#acknowledged)
    this.#chunks[0] = trimmed
    this.#queuedBytes -= first.bytes.length - trimmed.bytes.length
    // The server took less than was sent: it goes on from here.
    this.resend()
  }
}

/** The chunk from an offset on; a marker has no parts. */
function withoutHead(chunk: Chunk, offset: number): Chunk {
  const lead = chunk.end - chunk.offset === chunk.bytes.length ? offset - chunk.offset : 0
  return lead <= 0 ? chunk : { ...chunk, offset, bytes: chunk.bytes.subarray(lead) }
}
