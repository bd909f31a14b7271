import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { CommandView } from '@fleetupdate/sdk'
import type { PatientClient } from './patient-client.ts'

/** What became of commands that the server had accepted. */
export interface Audit {
  readonly accepted: number
  /** Not known to the server any more. */
  readonly lost: number
  readonly startedTwice: number
  /** Said to have succeeded without having ended, or never to have run although it did. */
  readonly untrue: number
  readonly notTerminal: number
  /** The stored output differs from what the result's hash says, or from what the command wrote. */
  readonly wrongOutput: number
  readonly states: Readonly<Record<string, number>>
  /** What is wrong, at most ten. */
  readonly examples: readonly string[]
}

const terminal = new Set([
  'succeeded',
  'failed',
  'cancelled',
  'timed_out',
  'interrupted',
  'expired',
  'rejected',
])

export function isTerminal({ state }: Pick<CommandView, 'state'>): boolean {
  return terminal.has(state)
}

export interface Owed {
  readonly id: string
  /** How many lines `lab.work` writes when nobody stops it. */
  readonly lines: number
  readonly name: 'lab.work' | 'lab.serial'
}

/**
 * Compares what the server says of each command with the ledger, into which every start wrote. Runners are taken to have survived; with `runnersDied` a
 * command that was started may be `interrupted`.
 */
export async function auditCommands(
  client: PatientClient,
  owed: readonly Owed[],
  ledgerFile: string,
  { runnersDied = false }: { readonly runnersDied?: boolean } = {},
): Promise<Audit> {
  const neverRan = ['expired', 'rejected', ...(runnersDied ? [] : ['interrupted'])]
  const starts = new Map<string, number>()
  const ends = new Set<string>()
  for (const line of readFileSync(ledgerFile, 'utf8').split('\n').filter(Boolean)) {
    const [id = '', done] = line.split(' ')
    if (done) ends.add(id)
    else starts.set(id, (starts.get(id) ?? 0) + 1)
  }
  const counts = { lost: 0, startedTwice: 0, untrue: 0, notTerminal: 0, wrongOutput: 0 }
  const states: Record<string, number> = {}
  const examples: string[] = []
  const count = (what: keyof typeof counts, text: string): void => {
    counts[what]++
    if (examples.length < 10) examples.push(`${what}: ${text}`)
  }
  for (const { id, lines, name } of owed) {
    const { status, body } = await client.request<CommandView>('GET', `/api/commands/${id}`)
    const started = starts.get(id) ?? 0
    if (started > 1) count('startedTwice', `${id} started ${started} times`)
    if (status !== 200) {
      count('lost', `${id} answered ${status}`)
      continue
    }
    states[body.state] = (states[body.state] ?? 0) + 1
    if (!isTerminal(body)) {
      count('notTerminal', `${id} is ${body.state}`)
      continue
    }
    if (body.state === 'succeeded' && !ends.has(id)) count('untrue', `${id} succeeded but never ended`)
    if (neverRan.includes(body.state) && started > 0)
      count('untrue', `${id} is ${body.state} and was started`)
    if (body.output?.sha256 === undefined) {
      if (body.state === 'succeeded') count('wrongOutput', `${id} has no hash`)
      continue
    }
    const text = await client.output(id)
    const hash = createHash('sha256').update(text).digest('hex')
    if (hash !== body.output.sha256)
      count('wrongOutput', `${id}: ${text.length} characters stored, hash differs`)
    else if (body.state === 'succeeded' && text !== expectedOutput(id, name, lines))
      count('wrongOutput', `${id}: not what the command wrote`)
  }
  return { accepted: owed.length, ...counts, states, examples }
}

/** What `lab.work` writes. */
export function expectedOutput(id: string, name: Owed['name'], lines: number): string {
  const written = Array.from({ length: lines }, (_, i) => `line ${i + 1} of ${id} ✓\n`)
  return `$ ${name}\n${written.join('')}`
}

/** All that must be zero. */
export function isClean(audit: Audit): boolean {
  const { lost, startedTwice, untrue, notTerminal, wrongOutput } = audit
  return lost + startedTwice + untrue + notTerminal + wrongOutput === 0
}

export function describeAudit(audit: Audit): string {
  const { accepted, lost, startedTwice, untrue, notTerminal, wrongOutput, examples } = audit
  const parts = [
    `${accepted} accepted: ${lost} lost, ${startedTwice} started twice, ${notTerminal} not terminal`,
  ]
  parts.push(`${wrongOutput} with wrong output`)
  if (untrue > 0) parts.push(`${untrue} untrue`)
  if (examples.length > 0) parts.push(`(${examples.slice(0, 3).join('; ')})`)
  return parts.join(', ')
}
