import type { ArgumentRule, Privilege } from '@fleetupdate/sdk'

const restMost = 2000
const argumentBytes = 4096

/**
 * Whether arguments fit the rules of a privilege, one by one and all of them. Text must be equal; a pattern must cover its whole argument; `rest`
 * (last only) covers all that remain. Anything that is not understood does not fit.
 */
export function matchesArguments(rules: readonly ArgumentRule[], args: readonly string[]): boolean {
  for (const [index, rule] of rules.entries()) {
    if (typeof rule === 'object' && 'rest' in rule) {
      const remaining = args.slice(index)
      if (index !== rules.length - 1 || remaining.length > (rule.max ?? restMost)) return false
      const pattern = whole(rule.rest)
      return remaining.every((argument) => isPlain(argument) && pattern.test(argument))
    }
    const argument = args[index]
    if (argument === undefined || !isPlain(argument)) return false
    if (typeof rule === 'string' ? rule !== argument : !whole(rule.pattern).test(argument)) return false
  }
  return args.length === rules.length
}

/** The first privilege whose program and arguments fit. */
export function matchPrivilege(
  privileges: readonly Privilege[],
  program: string,
  args: readonly string[],
): Privilege | undefined {
  return privileges.find((one) => one.program === program && matchesArguments(one.args, args))
}

function whole(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern})$`, 'u')
}

/** No argument may hold a NUL or a line break: nothing that is started here needs one, and logs and parsers are fooled by them. */
function isPlain(argument: string): boolean {
  return Buffer.byteLength(argument) <= argumentBytes && !/[\0\r\n]/.test(argument)
}
