import type { TSchema } from '@fleetupdate/sdk'

/**
 * A plain copy of an input schema in which every object that says nothing else is closed, so that a misspelled member
 * is an answer and not a surprise. Throws where the schema does not describe an object.
 */
export function closeSchema(schema: TSchema): TSchema {
  const plain: unknown = JSON.parse(JSON.stringify(schema))
  if (!describesObject(plain)) throw new Error('it must be an object schema, or a union of object schemas')
  return close(plain) as TSchema
}

function close<T>(schema: T): T {
  if (Array.isArray(schema)) return schema.map(close) as T
  if (!isRecord(schema)) return schema
  const entries = Object.entries(schema).map(([key, value]) => [key, literal.has(key) ? value : close(value)])
  const closed = Object.fromEntries(entries)
  if (closed.type === 'object' && isRecord(closed.properties) && closed.additionalProperties === undefined)
    closed.additionalProperties = false
  return closed
}

/** Members whose value is data, not a schema. */
const literal: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples'])

function describesObject(schema: unknown): boolean {
  if (!isRecord(schema)) return false
  if (Array.isArray(schema.anyOf)) return schema.anyOf.length > 0 && schema.anyOf.every(describesObject)
  return schema.type === 'object'
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
