import { describe, expect, test } from 'vitest'
import { type Piece, pieceFrom } from './piece.ts'
import { limits, placeChunks } from './place-chunks.ts'

const empty = { start: 0, end: 0, bytes: 0 }
const finite = { endless: false }
const chunk = (offset: number, text: string): Piece => ({
  offset,
  end: offset + Buffer.byteLength(text),
  text,
})
const marker = (offset: number, end: number): Piece => ({
  offset,
  end,
  text: `\n[… ${end - offset} bytes dropped …]\n`,
})

describe('placing chunks', () => {
  test('joins small neighbours into one piece', () => {
    expect(placeChunks(empty, [chunk(0, 'a\n'), chunk(2, 'é\n'), chunk(5, 'c')], finite)).toEqual({
      head: { start: 0, end: 6, bytes: 6 },
      pieces: [{ offset: 0, end: 6, text: 'a\né\nc' }],
    })
  })

  test('keeps pieces at 64 KiB', () => {
    const big = 'x'.repeat(limits.pieceBytes - 10)
    const placed = placeChunks(empty, [chunk(0, big), chunk(big.length, 'y'.repeat(20))], finite)
    expect('pieces' in placed && placed.pieces.map((piece) => piece.offset)).toEqual([0, big.length])
  })

  test('drops what is stored and keeps the rest of an overlap, at a character', () => {
    const head = { start: 0, end: 7, bytes: 7 }
    expect(placeChunks(head, [chunk(0, 'äöü')], finite)).toEqual({ head, pieces: [] })
    expect(placeChunks(head, [chunk(3, 'öü€')], finite)).toEqual({
      head: { start: 0, end: 10, bytes: 10 },
      pieces: [{ offset: 7, end: 10, text: '€' }],
    })
  })

  test('refuses text that does not continue what is stored', () => {
    expect(placeChunks({ start: 0, end: 1, bytes: 1 }, [chunk(0, '€')], finite)).toMatchObject({
      kind: 'mismatch',
    })
  })

  test('refuses a gap', () => {
    expect(placeChunks(empty, [chunk(0, 'abc'), chunk(4, 'e')], finite)).toEqual({
      kind: 'gap',
      offset: 4,
      end: 3,
    })
  })

  test('takes a marker for the range it stands for', () => {
    const placed = placeChunks(empty, [chunk(0, 'start'), marker(5, 1005), chunk(1005, 'tail')], finite)
    expect(placed).toMatchObject({
      head: { end: 1009 },
      pieces: [{ end: 5 }, { offset: 5, end: 1005 }, { offset: 1005 }],
    })
  })

  test('refuses much text in a short range', () => {
    const text = 'x'.repeat(1000)
    expect(placeChunks(empty, [{ offset: 0, end: 1, text }], finite)).toMatchObject({ kind: 'mismatch' })
  })

  test('leaves a marker out of a ring where it is longer than what it stands for', () => {
    expect(placeChunks(empty, [chunk(0, 'a'), marker(1, 3), chunk(3, 'b')], { endless: true })).toEqual({
      head: { start: 0, end: 4, bytes: 4 },
      pieces: [chunk(0, 'a'), chunk(3, 'b')],
    })
  })

  test('stores no more than the limit of a command that ends, but goes on counting', () => {
    const head = { start: 0, end: 50_000_000, bytes: limits.outputBytes + limits.pieceBytes - 1 }
    expect(placeChunks(head, [chunk(50_000_000, 'ab')], finite)).toEqual({
      head: { ...head, end: 50_000_002 },
      pieces: [],
    })
  })

  test('keeps the last 10 MiB of an endless command', () => {
    const end = limits.outputBytes + limits.ringSlackBytes
    const placed = placeChunks({ start: 0, end, bytes: end }, [chunk(end, 'ab')], { endless: true })
    expect(placed).toMatchObject({
      head: { start: end + 2 - limits.outputBytes, end: end + 2, bytes: limits.outputBytes },
    })
  })
})

describe('the rest of a piece', () => {
  test('begins at the next character', () => {
    expect(pieceFrom(chunk(10, 'a€b'), 12)).toEqual({ offset: 14, end: 15, text: 'b' })
    expect(pieceFrom(chunk(10, 'a€b'), 11)).toEqual({ offset: 11, end: 15, text: '€b' })
  })

  test('is the whole of a marker', () => {
    expect(pieceFrom(marker(0, 1000), 500)).toEqual(marker(0, 1000))
  })
})
