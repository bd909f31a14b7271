import { t, textOf } from '../text.ts'
import type { RequestProblem } from './request.ts'

/** What to tell a person: in their language where this dashboard has words for the code, else the server's own sentence. */
export function problemText({ code, message }: Pick<RequestProblem, 'code' | 'message'>): string {
  return code === 'FLT_NO_ANSWER' ? t('problem.noAnswer') : textOf(`error.${code}`, message)
}
