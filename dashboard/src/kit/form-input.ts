import { t } from '../text.ts'
import type { FieldSchema, FormShape } from './schema.ts'

export interface MadeInput {
  readonly input: Readonly<Record<string, unknown>>
  /** One sentence per member that does not fit; empty where all do. The server checks again. */
  readonly problems: Readonly<Record<string, string>>
}

type Texts = Readonly<Record<string, string | boolean | undefined>>

/** Turns what was typed into the input of a command. Optional members left empty are left out. */
export function inputOf(shape: FormShape | undefined, texts: Texts): MadeInput {
  const input: Record<string, unknown> = { ...shape?.fixed }
  const problems: Record<string, string> = {}
  for (const field of shape?.fields ?? []) {
    const typed = texts[field.name]
    if (typed === '' || typed === undefined) {
      if (field.required) problems[field.name] = t('form.required')
      continue
    }
    const made = inputValue(field, typed)
    if ('problem' in made) problems[field.name] = made.problem
    else input[field.name] = made.value
  }
  return { input, problems }
}

function inputValue(field: FieldSchema, typed: string | boolean): { value: unknown } | { problem: string } {
  if (typeof typed === 'boolean') return { value: typed }
  if (field.kind === 'number') return numberOf(field, typed)
  if (field.kind === 'choice') return { value: field.choices.find((choice) => String(choice) === typed) }
  if (field.kind === 'list')
    return {
      value: typed
        .split('\n')
        .map((line) => line.trim())
        .filter(Boolean),
    }
  if (field.kind === 'json') return jsonOf(typed)
  if (field.pattern !== undefined && !matches(field.pattern, typed)) return { problem: t('form.pattern') }
  if (field.maxLength !== undefined && typed.length > field.maxLength)
    return { problem: t('form.tooLong', { max: field.maxLength }) }
  return { value: typed }
}

function numberOf(field: FieldSchema, typed: string): { value: number } | { problem: string } {
  const value = Number(typed.replace(',', '.'))
  if (!Number.isFinite(value) || (field.integer && !Number.isInteger(value)))
    return { problem: field.integer ? t('form.wholeNumber') : t('form.number') }
  if (field.minimum !== undefined && value < field.minimum)
    return { problem: t('form.atLeast', { min: field.minimum }) }
  if (field.maximum !== undefined && value > field.maximum)
    return { problem: t('form.atMost', { max: field.maximum }) }
  return { value }
}

function jsonOf(typed: string): { value: unknown } | { problem: string } {
  try {
    return { value: JSON.parse(typed) }
  } catch {
    return { problem: t('form.json') }
  }
}

function matches(pattern: string, typed: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(typed)
  } catch {
    return true
  }
}
