import { expect, test } from 'vitest'
import { createControlFilter } from './strip-controls.ts'

const once = (text: string): string => createControlFilter()(text)

test('colours, carriage returns and erasing a line stay', () => {
  expect(once('\u001b[1;31mred\u001b[0m\r\n50%\r\u001b[K60%\t\n')).toBe(
    '\u001b[1;31mred\u001b[0m\r\n50%\r\u001b[K60%\t\n',
  )
})

test('titles, links, clipboard writes and device strings are dropped with their content', () => {
  expect(once('a\u001b]0;title\u0007b')).toBe('ab')
  expect(once('a\u001b]8;;https://evil.example\u001b\\click\u001b]8;;\u001b\\b')).toBe('aclickb')
  expect(once('a\u001b]52;c;ZXZpbA==\u0007b')).toBe('ab')
  expect(once('a\u001bP$q"p\u001b\\b')).toBe('ab')
  expect(once('a\u009d0;title\u009cb')).toBe('ab')
})

test('cursor movement, resets, alternate screens and bells are dropped', () => {
  expect(once('a\u001b[2J\u001b[Hb\u001bcc\u001b[?1049hd\u0007e\u001b(0f')).toBe('abcdef')
})

test('characters that turn the reading direction are dropped', () => {
  expect(once('safe\u202etxt.exe\u2066')).toBe('safetxt.exe')
})

test('a sequence that is cut in two is still recognised', () => {
  const filter = createControlFilter()
  expect(filter('a\u001b]0;ti') + filter('tle\u0007b\u001b') + filter('[3') + filter('1mc')).toBe(
    'ab\u001b[31mc',
  )
})

test('text in any script passes unharmed', () => {
  expect(once('héllo – 日本語 🚀 <img src=x onerror=alert(1)>')).toBe(
    'héllo – 日本語 🚀 <img src=x onerror=alert(1)>',
  )
})
