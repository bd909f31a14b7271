/** A piece of output as it is stored and sent. `end - offset` is its length in bytes, or what a marker stands for. */
export interface Piece {
  readonly offset: number
  readonly end: number
  readonly text: string
}

/** Whether the text is all of the range, which is not so for the marker of a dropped middle. */
export function isWhole({ offset, end, text }: Piece): boolean {
  return Buffer.byteLength(text) === end - offset
}

/**
 * The part of a piece from an offset inside of it. Text is cut between code points, so that the rest may
 * begin a little after `offset`. A marker can't be cut and comes whole.
 */
export function pieceFrom(piece: Piece, offset: number): Piece {
  if (offset <= piece.offset || !isWhole(piece)) return piece
  const bytes = Buffer.from(piece.text)
  let cut = offset - piece.offset
  while (cut < bytes.length && isContinuation(bytes[cut])) cut += 1
  return { offset: piece.offset + cut, end: piece.end, text: bytes.toString('utf8', cut) }
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}
