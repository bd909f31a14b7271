import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { runInWorld } from './testing/test-world.ts'

async function scriptFor(shell: string): Promise<string> {
  const { code, out } = await runInWorld(['completion', shell])
  expect(code).toBe(0)
  return out
}

/** What a real bash offers after these words. */
async function offered(...words: readonly string[]): Promise<readonly string[]> {
  const program = `${await scriptFor('bash')}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fleetupdate; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr } = spawnSync('bash', ['-c', program, 'bash', 'fleetupdate', ...words], {
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  return stdout.trim().split('\n')
}

function isInstalled(shell: string): boolean {
  return spawnSync(shell, ['--version']).error === undefined
}

test('bash completes nouns, verbs, options and choices', async () => {
  expect(await offered('au')).toEqual(['audit'])
  expect(await offered('user', 're')).toEqual(['remove', 'reset-second-factor'])
  expect(await offered('plugin', 'pa')).toEqual(['pack'])
  expect(await offered('user', 'add', '--ro')).toEqual(['--role'])
  expect(await offered('user', 'add', '--role', 'op')).toEqual(['operator'])
})

test.skipIf(!isInstalled('zsh'))('zsh reads its script (where it is installed)', async () => {
  const { stderr, status } = spawnSync('zsh', ['-n'], { input: await scriptFor('zsh'), encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(status).toBe(0)
})

test.skipIf(!isInstalled('fish'))('fish completes verbs and choices (where it is installed)', async () => {
  const script = await scriptFor('fish')
  const offer = (words: string): readonly string[] => {
    const args = ['--no-config', '-c', 'source (echo $argv[1] | psub); complete -C $argv[2]', script, words]
    const { stdout } = spawnSync('fish', args, { encoding: 'utf8' })
    return stdout.split('\n').flatMap((line) => line.split('\t')[0] || [])
  }
  expect(offer('fleetupdate user re')).toEqual(['remove', 'reset-second-factor'])
  expect(offer('fleetupdate user add --role op')).toEqual(['operator'])
})

test('a shell it does not know is refused', async () => {
  expect(await runInWorld(['completion', 'csh'])).toMatchObject({
    code: 3,
    err: expect.stringContaining('FLT_CLI_SHELL'),
  })
})
