import { Type } from 'typebox'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { type CommandInput, type CommandResult, defineContract, type FactValue } from './contract.ts'
import { defineExecutor } from './executor.ts'
import { definePlugin, type PluginContext } from './plugin.ts'

const reboot = defineContract('reboot', {
  facts: { required: Type.Boolean(), kernel: Type.String() },
  facets: { required: (facts) => facts.required },
  commands: {
    schedule: {
      input: Type.Object(
        { minutes: Type.Integer({ minimum: 0, maximum: 60 }) },
        { additionalProperties: false },
      ),
      result: Type.Object({ at: Type.String() }),
      dangerous: true,
    },
    abort: {},
  },
})
type Reboot = typeof reboot

// Each `@ts-expect-error` is a test: where the line below it compiles, `npm test` fails in its step "Types".
describe('what follows from a contract', () => {
  test('its types', () => {
    expectTypeOf<FactValue<Reboot, 'required'>>().toEqualTypeOf<boolean>()
    expectTypeOf<CommandInput<Reboot, 'schedule'>>().toEqualTypeOf<{ minutes: number }>()
    expectTypeOf<CommandResult<Reboot, 'schedule'>>().toEqualTypeOf<{ at: string }>()
    expect(reboot.facets.required?.({ required: true })).toBe(true)
    expect(reboot.facets.required?.({})).toBeUndefined()
  })

  test('a facet cannot read a fact that does not exist', () => {
    const wrong = defineContract('wrong', {
      facts: { required: Type.Boolean() },
      // @ts-expect-error the fact is called "required"
      facets: { required: (facts) => facts.requierd },
    })
    expect(wrong.id).toBe('wrong')
  })

  test('an executor must have every fact and command, spelled right, with the right types', () => {
    const facts = { required: () => true, kernel: () => '6.1' }
    const commands = { schedule: () => ({ at: 'now' }), abort: () => undefined }
    expect(defineExecutor(reboot, { facts, commands }).contract.id).toBe('reboot')
    // @ts-expect-error a misspelled command
    defineExecutor(reboot, { facts, commands: { shedule: () => ({ at: 'now' }), abort: () => undefined } })
    // @ts-expect-error a fact is missing
    defineExecutor(reboot, { facts: { required: () => true }, commands })
    // @ts-expect-error a fact of the wrong type
    defineExecutor(reboot, { facts: { required: () => 'yes', kernel: () => '6.1' }, commands })
    // @ts-expect-error a result of the wrong type
    defineExecutor(reboot, { facts, commands: { ...commands, schedule: () => ({ at: 5 }) } })
    defineExecutor(reboot, {
      facts,
      commands: {
        ...commands,
        // @ts-expect-error the input has no member "hours"
        schedule: ({ hours }) => ({ at: String(hours) }),
      },
    })
  })

  test('a server part submits only commands that exist, with an input that fits', () => {
    const submit = (context: PluginContext<Reboot>): void => {
      void context.commands.submit('vm-01', 'schedule', { minutes: 5 })
      // @ts-expect-error a misspelled command
      void context.commands.submit('vm-01', 'shedule', { minutes: 5 })
      // @ts-expect-error a wrong input
      void context.commands.submit('vm-01', 'schedule', { minutes: 'five' })
      context.onFacts(({ facts }) => {
        expectTypeOf(facts.required).toEqualTypeOf<boolean | undefined>()
        // @ts-expect-error a fact that does not exist
        return facts.reqired
      })
    }
    expect(typeof submit).toBe('function')
    expect(definePlugin(reboot).migrations).toEqual([])
    expect(definePlugin(reboot, { migrations: [], setup: () => undefined }).setup).toBeTypeOf('function')
  })
})
