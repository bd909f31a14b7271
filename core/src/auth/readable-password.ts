import { randomInt } from 'node:crypto'

/** Makes a password that can be read out: four groups of five out of 31 signs that are not mistaken for each other, 99 bits. */
export function readablePassword(): string {
  const signs = 'abcdefghjkmnpqrstuvwxyz23456789'
  const group = (): string => Array.from({ length: 5 }, () => signs[randomInt(signs.length)]).join('')
  return [group(), group(), group(), group()].join('-')
}
