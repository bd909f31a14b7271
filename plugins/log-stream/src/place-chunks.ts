import { isWhole, type Piece, pieceFrom } from './piece.ts'

/** What is known of a command's stored output. */
export interface Head {
  readonly start: number
  readonly end: number
  readonly bytes: number
}

export interface Placed {
  readonly head: Head
  /** What is new and to be stored. */
  readonly pieces: readonly Piece[]
}

/** A piece that can't be stored: it starts after the end of what is there, inside a character of it, or has another length. */
export type Misfit = { readonly kind: 'gap' | 'mismatch'; readonly offset: number; readonly end: number }

export const limits = {
  /** Kept of one command. */
  outputBytes: 10 * 1024 * 1024,
  /** A stored piece. */
  pieceBytes: 64 * 1024,
  /** The text of a marker, which stands for a dropped range. */
  markerBytes: 256,
  /** A ring is cut when it is so much too long, not for every piece. */
  ringSlackBytes: 1024 * 1024,
} as const

/**
 * Puts chunks behind what is stored. Pure. What is already there is dropped, the new part of an overlap kept, and small
 * neighbours become one piece. Over the limit the text of a command that ends is dropped (its agent should have done so);
 * that of an endless one is a ring, of which `head.start` is the start.
 */
export function placeChunks(
  head: Head,
  chunks: readonly Piece[],
  options: { readonly endless: boolean },
): Placed | Misfit {
  const fresh: Piece[] = []
  let { end } = head
  for (const chunk of chunks) {
    if (chunk.end <= end) continue
    if (chunk.offset > end) return { kind: 'gap', offset: chunk.offset, end }
    const { offset, text } = chunk
    const piece = offset === end ? { offset, end: chunk.end, text } : overlapping(chunk, end)
    if (piece.offset !== end || !isWholeOrMarker(piece)) return { kind: 'mismatch', offset: end, end }
    fresh.push(options.endless ? withinRange(piece) : piece)
    end = piece.end
  }
  return options.endless ? inRing(head, join(fresh), end) : upToLimit(head, join(fresh), end)
}

function overlapping(chunk: Piece, offset: number): Piece {
  return isWhole(chunk) ? pieceFrom(chunk, offset) : { offset, end: chunk.end, text: chunk.text }
}

/** Else an agent could store much text in a short range, around every limit. */
function isWholeOrMarker(piece: Piece): boolean {
  const size = Buffer.byteLength(piece.text)
  return size === piece.end - piece.offset || size <= limits.markerBytes
}

/** A ring is measured by its offsets: a marker that is longer than what it stands for is left out. */
function withinRange(piece: Piece): Piece {
  return Buffer.byteLength(piece.text) > piece.end - piece.offset ? { ...piece, text: '' } : piece
}

function inRing(head: Head, pieces: readonly Piece[], end: number): Placed {
  const tooLong = end - head.start > limits.outputBytes + limits.ringSlackBytes
  const start = tooLong ? end - limits.outputBytes : head.start
  return { head: { start, end, bytes: end - start }, pieces: pieces.filter(({ text }) => text !== '') }
}

function upToLimit(head: Head, pieces: readonly Piece[], end: number): Placed {
  // The marker of the agent comes on top of the limit.
  const most = limits.outputBytes + limits.pieceBytes
  let { bytes } = head
  const kept = pieces.filter(({ text }) => {
    const size = Buffer.byteLength(text)
    if (bytes + size > most) return false
    bytes += size
    return true
  })
  return { head: { start: head.start, end, bytes }, pieces: kept }
}

/** Many small neighbours cost as many rows, messages and wake-ups; one piece costs one. */
function join(pieces: readonly Piece[]): readonly Piece[] {
  const joined: Piece[] = []
  let run: Piece[] = []
  const close = (): void => {
    const [first] = run
    const last = run.at(-1)
    if (first && last)
      joined.push(
        run.length === 1
          ? first
          : { offset: first.offset, end: last.end, text: run.map(({ text }) => text).join('') },
      )
    run = []
  }
  for (const piece of pieces) {
    const [first] = run
    const whole = isWhole(piece)
    if (first && (!whole || piece.end - first.offset > limits.pieceBytes)) close()
    if (whole) run.push(piece)
    else joined.push(piece)
  }
  close()
  return joined
}
