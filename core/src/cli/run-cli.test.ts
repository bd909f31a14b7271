import { describe, expect, test } from 'vitest'
import { nouns } from './nouns.ts'
import { runInWorld } from './testing/test-world.ts'
import { isVerb } from './verb.ts'

const run = (...args: readonly string[]) => runInWorld(args)

describe('the program fleetupdate', () => {
  test('serves without a noun, as it always did', async () => {
    expect(await run()).toMatchObject({ code: 0, out: 'serves on 8000\n' })
    expect(await run('--port', '9000')).toMatchObject({ code: 0, out: 'serves on 9000\n' })
    expect(await run('serve', '--port=9001')).toMatchObject({ code: 0, out: 'serves on 9001\n' })
  })

  test.each([
    ['an unknown noun', ['frob'], /There is no "frob"/],
    ['a missing verb', ['agent'], /The verb is missing/],
    ['an unknown verb', ['agent', 'frob'], /There is no "agent frob"/],
    ['a word that is in every object', ['constructor'], /There is no "constructor"/],
    ['a missing operand', ['agent', 'invite'], /ID is missing/],
    ['a word too many', ['version', 'x'], /"x" is one word too many/],
    ['an unknown option', ['version', '--frob'], /Unknown option '--frob'/],
    ['a secret as an argument', ['serve', '--ui-password', 'x'], /Unknown option '--ui-password'/],
  ])('does not understand %s, says how it is called, and ends with 2', async (_, args, problem) => {
    const { code, out, err } = await run(...args)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toMatch(problem)
    expect(err).toMatch(/^FLT_CLI_USAGE: .* Usage: fleetupdate /)
  })

  test('ends with 2 where a setting is wrong', async () => {
    const { code, err } = await run('config', 'check', '--port', 'abc')
    expect(code).toBe(2)
    expect(err).toMatch(/^FLT_CONFIG_INVALID: PORT: /)
  })

  test('ends with 3 where it is refused, with --json as JSON', async () => {
    expect(await run('audit', 'verify')).toMatchObject({
      code: 3,
      err: expect.stringContaining('FLT_CLI_NO_DATA'),
    })
    const { code, out } = await run('audit', 'verify', '--json')
    expect(code).toBe(3)
    expect(JSON.parse(out)).toMatchObject({ error: { code: 'FLT_CLI_NO_DATA' } })
  })

  test('helps for every noun and verb, with an example each', async () => {
    for (const [name, noun] of Object.entries(nouns)) {
      const verbs = isVerb(noun) ? [[name]] : Object.keys(noun.verbs).map((verb) => [name, verb])
      for (const words of verbs) {
        const { code, out } = await run(...words, '--help')
        expect(code).toBe(0)
        expect(out).toContain(`Usage: fleetupdate ${words.join(' ')}`)
        expect(out).toContain('Examples:')
      }
    }
  })
})
