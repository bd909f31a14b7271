import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { repository } from '../repository.ts'

const english = readFileSync(join(repository, 'README.md'), 'utf8')
const french = readFileSync(join(repository, 'README.fr.md'), 'utf8')

/** Fenced blocks without their comments, which are translated. */
function commands(text: string): readonly string[] {
  return [...text.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].map(([, block = '']) =>
    block.replace(/ +# .*$/gm, '').replace(/^# .*$/gm, ''),
  )
}

function links(text: string): readonly string[] {
  return [...text.matchAll(/\]\(([^)]+)\)/g)]
    .map(([, to = '']) => to)
    .filter((to) => !to.startsWith('README'))
}

/** What is written as code inside sentences. */
function words(text: string): readonly string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '')
  return [...prose.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word).sort()
}

describe('the README in French says the same as the one in English', () => {
  test('in the same order of headings', () => {
    const levels = (text: string) => [...text.matchAll(/^(#+) /gm)].map(([, signs]) => signs)
    expect(levels(french.replace(/^```[\s\S]*?^```$/gm, ''))).toEqual(
      levels(english.replace(/^```[\s\S]*?^```$/gm, '')),
    )
  })

  test('with the same commands', () => {
    expect(commands(english).length).toBeGreaterThan(3)
    expect(commands(french)).toEqual(commands(english))
    expect(words(french)).toEqual(words(english))
  })

  test('with the same links, all of which lead somewhere', () => {
    expect(links(french)).toEqual(links(english))
    expect(links(english).filter((to) => !existsSync(join(repository, to)))).toEqual([])
  })
})
