import { fleetError } from '../errors.ts'
import { completionScript, shells } from './completion-scripts.ts'
import type { Noun, Verb } from './verb.ts'

/** Prints the completion for a shell; takes the table lazily, because it is part of it. */
export function completionVerb(nouns: () => Readonly<Record<string, Noun>>): Verb {
  return {
    summary: 'Print the completion for a shell',
    operands: [{ name: 'SHELL', summary: shells.join(', ') }],
    examples: [
      'bash > /etc/bash_completion.d/fleetupdate',
      'zsh > /usr/local/share/zsh/site-functions/_fleetupdate',
      'fish > /etc/fish/completions/fleetupdate.fish',
    ],
    async run(call) {
      const shell = shells.find((each) => each === call.operand('SHELL'))
      if (!shell) throw fleetError('FLT_CLI_SHELL', { known: shells.join(', ') })
      const lines = completionScript(shell, nouns())
      return { lines, json: { shell, script: `${lines.join('\n')}\n` } }
    },
  }
}
