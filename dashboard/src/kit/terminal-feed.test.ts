import { describe, expect, test } from 'vitest'
import { createTerminalFeed } from './terminal-feed.ts'

/** A feed into a screen that is a text; tasks run when the test says so. */
function feed() {
  const tasks: (() => void)[] = []
  let screen = ''
  let longest = 0
  const made = createTerminalFeed({
    write(text, taken) {
      longest = Math.max(longest, text.length)
      screen += text
      taken()
    },
    reset() {
      screen = ''
    },
    later: (run) => void tasks.push(run),
  })
  const settle = (): void => {
    for (let task = tasks.shift(); task; task = tasks.shift()) task()
  }
  return { ...made, settle, screen: () => screen, longest: () => longest }
}

describe('output on its way to the terminal', () => {
  test('arrives whole and in order, in small parts', () => {
    const { add, settle, screen, longest } = feed()
    const text = Array.from({ length: 42_000 }, (_, i) => `line ${i} of a long log\n`).join('')
    add(text)
    settle()
    expect(screen()).toBe(text)
    expect(longest()).toBeLessThanOrEqual(8_192)
  })

  test('is filtered as it comes, and shown whole again', () => {
    const { add, settle, screen, setFilter } = feed()
    add('one\nTWO\nthr')
    settle()
    setFilter('t')
    settle()
    expect(screen()).toBe('TWO\n')
    add('ee\nfour\ntail')
    settle()
    expect(screen()).toBe('TWO\nthree\n')
    setFilter('')
    settle()
    expect(screen()).toBe('one\nTWO\nthree\nfour\ntail')
    add(' end\n')
    settle()
    expect(screen()).toBe('one\nTWO\nthree\nfour\ntail end\n')
  })

  test('is kept while it is paused', () => {
    const { add, settle, screen, setPaused, plain } = feed()
    setPaused(true)
    add('one\n\u001b[31mtwo\u001b[0m\n')
    settle()
    expect(screen()).toBe('')
    expect(plain()).toBe('one\ntwo')
    setPaused(false)
    settle()
    expect(screen()).toBe('one\n\u001b[31mtwo\u001b[0m\n')
  })
})
