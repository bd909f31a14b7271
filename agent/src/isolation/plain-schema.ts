const known = new Set([
  'type',
  'const',
  'enum',
  'required',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
])
const deepest = 8

/**
 * Whether a schema of a stranger may be applied in the agent itself: it has nothing but keywords that take no time, so no patterns, no formats,
 * no references.
 */
export function plainSchema(schema: unknown, depth = 0): boolean {
  if (typeof schema === 'boolean') return true
  if (!isRecord(schema) || depth > deepest) return false
  return Object.entries(schema).every(([keyword, value]) => {
    if (known.has(keyword)) return true
    if (keyword === 'properties')
      return isRecord(value) && Object.values(value).every((one) => plainSchema(one, depth + 1))
    if (keyword === 'items' || keyword === 'additionalProperties' || keyword === 'not')
      return plainSchema(value, depth + 1)
    if (keyword === 'anyOf' || keyword === 'allOf')
      return Array.isArray(value) && value.length <= 16 && value.every((one) => plainSchema(one, depth + 1))
    return ['title', 'description', 'default'].includes(keyword)
  })
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
