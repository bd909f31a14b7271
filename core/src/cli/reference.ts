import { commonOptions } from './arguments.ts'
import { optionForm, usageOf } from './help.ts'
import { nouns } from './nouns.ts'
import { exitCodes, isVerb, type Noun, type Option, type Verb } from './verb.ts'

/** The page docs/reference/cli.md, from the table of nouns. */
export function cliReference(): string {
  return `<!-- Generated from core/src/cli by \`npm run generate\`. Do not edit. -->

# The program \`fleetupdate\` on the server

On an installed server it is \`/usr/local/bin/fleetupdate\`, run with \`sudo\`: it goes on as the user of the server. In a checkout it is
\`node core/dist/main.js\`. It reads the same settings as the server: from the environment, from \`/opt/orchestrator/.env\` on an installed
server, and those that are not secret also as arguments (\`--data-dir DIR\`, see [settings](settings.md)).

What changes something is done by the running server itself, through a socket in DATA_DIR that only its user and root can open; where no server
runs on that data, by a server that is put together for this one deed and listens for nobody else. Each deed has a row in the audit with the user of the
operating system who did it. With \`--server URL\` and an API token in \`FLEET_TOKEN\` the same verbs ask a server over the network.

## Exit codes

| code | meaning |
| --- | --- |
| ${exitCodes.done} | done |
| ${exitCodes.finding} | done, and something was found that needs a person: a broken audit, a bad setting of the machine |
| ${exitCodes.usage} | not understood: the words, or a setting. Nothing was done |
| ${exitCodes.refused} | refused or impossible. Nothing was changed; the code and the sentence are on standard error, with \`--json\` as \`{ "error": { code, message } }\` on standard output |

## Every verb understands

${optionTable(commonOptions)}
${Object.entries(nouns)
  .map(([name, noun]) => nounSection(name, noun))
  .join('\n')}`
}

function nounSection(name: string, noun: Noun): string {
  if (isVerb(noun)) return `\n## ${name}\n\n${verbText([name], noun)}`
  const verbs = Object.entries(noun.verbs).map(
    ([verb, entry]) => `### ${name} ${verb}\n\n${verbText([name, verb], entry)}`,
  )
  const { elsewhere } = noun
  const more = elsewhere
    ? `\n### ${name} ${elsewhere.verbs.join(', ')}\n\nThey are ${elsewhere.summary}. See [your first plugin](../guide/first-plugin.md).\n`
    : ''
  return `\n## ${name}\n\n${noun.summary}.\n\n${verbs.join('\n')}${more}`
}

function verbText(words: readonly string[], verb: Verb): string {
  const { summary, details = [], operands = [], options = {}, examples } = verb
  const rows = operands.map(({ name, summary: what }) => `| \`${name}\` | ${cell(what)} |`)
  const isTable = rows.length > 0 || Object.keys(options).length > 0
  return [
    `${summary}.${details.map((detail) => ` ${detail}`).join('')}`,
    '',
    '```',
    usageOf(words, verb),
    '```',
    '',
    ...(isTable ? ['| word | meaning |', '| --- | --- |', ...rows, ...optionRows(options), ''] : []),
    '```sh',
    ...examples.map((example) => `fleetupdate ${[...words, example].join(' ')}`.trimEnd()),
    '```',
    '',
  ].join('\n')
}

function optionTable(options: Readonly<Record<string, Option>>): string {
  return ['| option | meaning |', '| --- | --- |', ...optionRows(options)].join('\n')
}

function optionRows(options: Readonly<Record<string, Option>>): readonly string[] {
  return Object.entries(options).map(
    ([name, option]) => `| \`${cell(optionForm(name, option))}\` | ${cell(option.summary)} |`,
  )
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
