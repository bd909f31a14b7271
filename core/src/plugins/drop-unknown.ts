interface ObjectSchema {
  readonly properties?: Readonly<Record<string, unknown>>
  readonly additionalProperties?: unknown
  readonly items?: unknown
}

/**
 * A copy of a value without the object members its JSON schema does not know, so that newer agents can say more. Values of
 * unions and of records stay as they are.
 */
export function dropUnknown(schema: unknown, value: unknown): unknown {
  const { properties, items } = isRecord(schema) ? (schema as ObjectSchema) : {}
  if (Array.isArray(value)) return items === undefined ? value : value.map((item) => dropUnknown(items, item))
  if (!isRecord(value) || properties === undefined) return value
  const kept: Record<string, unknown> = {}
  for (const [name, member] of Object.entries(value))
    if (Object.hasOwn(properties, name)) kept[name] = dropUnknown(properties[name], member)
  return kept
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
