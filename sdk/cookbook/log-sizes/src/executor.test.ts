import { type Transcript, testExecutor } from '@fleetupdate/sdk/testing'
import { expect, test } from 'vitest'
import executor from './executor.ts'

const du = (path: string, answer: Partial<Transcript>): Transcript => ({
  program: 'du',
  args: ['--summarize', '--block-size=1', '--', path],
  ...answer,
})
const all = du('/var/log', {
  stdout: '52469760\t/var/log\n',
  stderr: "du: cannot read directory '/var/log/private': Permission denied\n",
  exitCode: 1,
})

test('reads what du prints, and says where it could not look', async () => {
  const report = await testExecutor(executor, {
    transcripts: [all, du('/var/log/apt', { stdout: '180224\t/var/log/apt\n' })],
    commands: { measure: { input: { paths: ['/var/log/apt', '/var/log'] } } },
  })
  expect(report.problems).toEqual([])
  expect(report.facts).toEqual({ total: { bytes: 52_469_760, complete: false } })
  expect(report.results.measure).toEqual({
    sizes: [
      { path: '/var/log/apt', bytes: 180_224, complete: true },
      { path: '/var/log', bytes: 52_469_760, complete: false },
    ],
  })
  expect(report.output).toContain('/var/log holds at least 52469760 bytes\n')
})

test('a folder that is not there is no empty one', async () => {
  const stderr = "du: cannot access '/var/log/none': No such file or directory\n"
  const { problems } = await testExecutor(executor, {
    transcripts: [all, du('/var/log/none', { stderr, exitCode: 1 })],
    commands: { measure: { input: { paths: ['/var/log/none'] } } },
  })
  expect(problems).toEqual([expect.stringContaining('du cannot measure /var/log/none: du: cannot access')])
})

test.each(['/etc/shadow', '/var/log/../lib', '/var/logs', '/var/log/-n'])('%s is no log', async (file) => {
  const { problems } = await testExecutor(executor, {
    transcripts: [all],
    commands: { follow: { input: { file } } },
  })
  expect(problems).toContain('The input that "follow" is tried with does not fit the contract.')
})
