import { type Ref, shallowRef } from 'vue'
import { problemText } from '../api/problem-text.ts'
import { asProblem, isRecord, type RequestProblem } from '../api/request.ts'
import { t } from '../text.ts'

export interface Form<F extends string> {
  readonly busy: Readonly<Ref<boolean>>
  /** One sentence for each field that does not fit. */
  readonly problems: Readonly<Ref<Partial<Record<F, string>>>>
  /** What belongs to no field. */
  readonly problem: Readonly<Ref<RequestProblem | undefined>>
  /** True where it was sent and taken. */
  submit(): Promise<boolean>
  clear(): void
}

export interface FormOptions<F extends string> {
  /** What the page itself can tell before anything is sent. */
  check?(): Partial<Record<F, string>>
  send(): Promise<unknown>
  /** The field each code of the API belongs to. */
  readonly fields: Readonly<Record<string, F>>
}

/** A form whose problems, its own and the server's, stand beside the field they belong to. */
export function useForm<F extends string>({ check, send, fields }: FormOptions<F>): Form<F> {
  const busy = shallowRef(false)
  const problems = shallowRef<Partial<Record<F, string>>>({})
  const problem = shallowRef<RequestProblem>()
  const clear = (): void => {
    problems.value = {}
    problem.value = undefined
  }
  return {
    busy,
    problems,
    problem,
    clear,
    async submit() {
      clear()
      problems.value = check?.() ?? {}
      if (Object.keys(problems.value).length > 0 || busy.value) return false
      busy.value = true
      try {
        await send()
        return true
      } catch (error) {
        const met = asProblem(error)
        const found = fieldsOf(met, fields)
        if (Object.keys(found).length > 0) problems.value = found
        else problem.value = met
        return false
      } finally {
        busy.value = false
      }
    },
  }
}

/** By its code, or for a body that does not fit by the members that the schema names. */
function fieldsOf<F extends string>(
  problem: RequestProblem,
  fields: Readonly<Record<string, F>>,
): Partial<Record<F, string>> {
  const found: Partial<Record<F, string>> = {}
  const known = fields[problem.code]
  if (known !== undefined) found[known] = problemText(problem)
  const named =
    isRecord(problem.details) && Array.isArray(problem.details.problems) ? problem.details.problems : []
  for (const text of named) {
    const [, name = ''] = /^body\/(\w+)/.exec(String(text)) ?? []
    const field = fields[name]
    if (field !== undefined) found[field] = t('form.pattern')
  }
  return found
}
