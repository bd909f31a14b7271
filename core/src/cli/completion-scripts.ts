import { commonOptions } from './arguments.ts'
import { isVerb, type Noun, type Verb } from './verb.ts'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]
type Nouns = Readonly<Record<string, Noun>>

/** What one of the shells needs to complete the program's words, made from its table. */
export function completionScript(shell: Shell, nouns: Nouns): readonly string[] {
  return { bash, zsh, fish }[shell](nouns)
}

/** `noun` or `noun verb` → what may follow. */
function entries(nouns: Nouns): readonly (readonly [string, readonly string[]])[] {
  return Object.entries(nouns).flatMap(([name, noun]): [string, readonly string[]][] =>
    isVerb(noun)
      ? [[name, optionsOf(noun)]]
      : [
          [name, [...Object.keys(noun.verbs), ...(noun.elsewhere?.verbs ?? [])]],
          ...Object.entries(noun.verbs).map(([verb, entry]): [string, readonly string[]] => [
            `${name} ${verb}`,
            optionsOf(entry),
          ]),
        ],
  )
}

function optionsOf({ options = {} }: Verb): readonly string[] {
  return [...Object.keys(options), ...Object.keys(commonOptions)].map((name) => `--${name}`)
}

/** `--role` → its choices; an option means the same wherever it appears. */
function choicesOf(nouns: Nouns): ReadonlyMap<string, readonly string[]> {
  const verbs = Object.values(nouns).flatMap((noun) => (isVerb(noun) ? [noun] : Object.values(noun.verbs)))
  const all = verbs.flatMap(({ options = {} }) => Object.entries(options))
  return new Map(all.flatMap(([name, { choices }]) => (choices ? [[`--${name}`, choices] as const] : [])))
}

function bash(nouns: Nouns): readonly string[] {
  return [
    '# bash completion for fleetupdate; made by: fleetupdate completion bash',
    '_fleetupdate() {',
    '  local cur prev words',
    '  cur=${COMP_WORDS[COMP_CWORD]}',
    '  prev=${COMP_WORDS[COMP_CWORD-1]}',
    '  case "$prev" in',
    ...[...choicesOf(nouns)].map(
      ([option, choices]) =>
        `    ${option}) mapfile -t COMPREPLY < <(compgen -W '${choices.join(' ')}' -- "$cur"); return ;;`,
    ),
    '  esac',
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    words='${Object.keys(nouns).join(' ')}'`,
    '  else',
    '    case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in',
    ...entries(nouns)
      .filter(([words]) => words.includes(' '))
      .map(([words, next]) => `      '${words}') words='${next.join(' ')}' ;;`),
    '      *) case "${COMP_WORDS[1]}" in',
    ...entries(nouns)
      .filter(([words]) => !words.includes(' '))
      .map(([words, next]) => `        ${words}) words='${next.join(' ')}' ;;`),
    '      esac ;;',
    '    esac',
    '  fi',
    '  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")',
    '}',
    'complete -o bashdefault -o default -F _fleetupdate fleetupdate',
  ]
}

/** zsh reads bash's completions. */
function zsh(nouns: Nouns): readonly string[] {
  const [, ...rest] = bash(nouns)
  return [
    '#compdef fleetupdate',
    '# zsh completion for fleetupdate; made by: fleetupdate completion zsh',
    'autoload -U +X bashcompinit && bashcompinit',
    ...rest.map((line) =>
      line.replace(/mapfile -t COMPREPLY < <\((.*)\)(;|$)/, 'COMPREPLY=( ${(f)"$($1)"} )$2'),
    ),
  ]
}

function fish(nouns: Nouns): readonly string[] {
  const line = (condition: string, rest: string): string =>
    `complete -c fleetupdate -n '${condition}' ${rest}`
  const optionLines = (condition: string, { options = {} }: Verb): readonly string[] =>
    Object.entries({ ...options, ...commonOptions }).map(([name, { summary, value, choices }]) => {
      const needs = value === undefined ? '' : choices ? ` -x -a ${quoted(choices.join(' '))}` : ' -r'
      return line(condition, `-l ${name}${needs} -d ${quoted(summary)}`)
    })
  return [
    '# fish completion for fleetupdate; made by: fleetupdate completion fish',
    'complete -c fleetupdate -f',
    ...Object.entries(nouns).flatMap(([name, noun]) => {
      const first = line('__fish_use_subcommand', `-a ${name} -d ${quoted(noun.summary)}`)
      const inNoun = `__fish_seen_subcommand_from ${name}`
      if (isVerb(noun)) return [first, ...optionLines(inNoun, noun)]
      const verbs = [...Object.keys(noun.verbs), ...(noun.elsewhere?.verbs ?? [])]
      return [
        first,
        ...verbs.map((verb) =>
          line(
            `${inNoun}; and not __fish_seen_subcommand_from ${verbs.join(' ')}`,
            `-a ${verb} -d ${quoted(noun.verbs[verb]?.summary ?? noun.elsewhere?.summary ?? '')}`,
          ),
        ),
        ...Object.entries(noun.verbs).flatMap(([verb, entry]) =>
          optionLines(`${inNoun}; and __fish_seen_subcommand_from ${verb}`, entry),
        ),
      ]
    }),
  ]
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
