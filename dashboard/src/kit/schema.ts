import { isRecord } from '../api/request.ts'

/** One member of a form, read from a JSON schema as far as forms need it. */
export interface FieldSchema {
  readonly kind: 'text' | 'number' | 'boolean' | 'choice' | 'list' | 'json'
  readonly integer: boolean
  readonly choices: readonly unknown[]
  readonly required: boolean
  readonly name: string
  readonly title: string
  readonly description: string | undefined
  readonly initial: unknown
  readonly minimum: number | undefined
  readonly maximum: number | undefined
  readonly pattern: string | undefined
  readonly maxLength: number | undefined
}

/** One shape an input may have; a schema with `anyOf` has several, a plain one has one. */
export interface FormShape {
  readonly title: string
  readonly fields: readonly FieldSchema[]
  /** Members with one fixed value, which nobody is asked for. */
  readonly fixed: Readonly<Record<string, unknown>>
}

/** The shapes of an object schema; empty where there is nothing to fill in. */
export function formShapes(schema: unknown): readonly FormShape[] {
  if (!isRecord(schema)) return []
  const variants = [schema.anyOf, schema.oneOf].find(Array.isArray)
  if (variants) return variants.filter(isRecord).map(shapeOf)
  return [shapeOf(schema)]
}

/** `lastSeenAt` → `Last seen at`, where the schema has no title of its own. */
export function titleOf(name: string, schema: unknown): string {
  if (isRecord(schema) && typeof schema.title === 'string') return schema.title
  const words = name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll(/[-_]/g, ' ')
    .toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

function shapeOf(schema: Readonly<Record<string, unknown>>): FormShape {
  const properties = isRecord(schema.properties) ? schema.properties : {}
  const required = new Set(Array.isArray(schema.required) ? schema.required.map(String) : [])
  const entries = Object.entries(properties)
  const isFixed = (member: unknown): boolean => isRecord(member) && 'const' in member
  const fields = entries
    .filter(([, member]) => !isFixed(member))
    .map(([name, member]) => fieldOf(name, member, required.has(name)))
  const fixed = entries.flatMap(([name, member]) =>
    isRecord(member) && 'const' in member ? [[name, member.const] as const] : [],
  )
  const named = typeof schema.title === 'string' ? schema.title : undefined
  const title = named ?? fixed.map(([, value]) => String(value)).join(', ') ?? ''
  return {
    title: title || fields.map((field) => field.title).join(', '),
    fields,
    fixed: Object.fromEntries(fixed),
  }
}

function fieldOf(name: string, member: unknown, required: boolean): FieldSchema {
  const schema = isRecord(member) ? member : {}
  const choices = choicesOf(schema)
  return {
    name,
    required,
    choices: choices ?? [],
    kind: choices ? 'choice' : kindOf(schema),
    integer: schema.type === 'integer',
    title: titleOf(name, schema),
    description: text(schema.description),
    initial: schema.default,
    minimum: number(schema.minimum),
    maximum: number(schema.maximum),
    pattern: text(schema.pattern),
    maxLength: number(schema.maxLength),
  }
}

function kindOf(schema: Readonly<Record<string, unknown>>): FieldSchema['kind'] {
  if (schema.type === 'string') return 'text'
  if (schema.type === 'number' || schema.type === 'integer') return 'number'
  if (schema.type === 'boolean') return 'boolean'
  if (schema.type === 'array' && isRecord(schema.items) && schema.items.type === 'string') return 'list'
  return 'json'
}

function choicesOf(schema: Readonly<Record<string, unknown>>): readonly unknown[] | undefined {
  if (Array.isArray(schema.enum)) return schema.enum
  const variants = [schema.anyOf, schema.oneOf].find(Array.isArray)
  if (!variants?.every((variant) => isRecord(variant) && 'const' in variant)) return undefined
  return variants.filter(isRecord).map((variant) => variant.const)
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)
