import coreIcons from 'virtual:core-icons'
import { shallowRef } from 'vue'

export interface Shape {
  readonly tag: string
  readonly attributes: Readonly<Record<string, string>>
}

const others = shallowRef<Readonly<Record<string, { readonly body: string } | undefined>>>()
const parsed = new Map<string, readonly Shape[]>()
let loading = false

/** The shapes of an icon; those of a puzzle piece where lucide has none of that name. Names beyond the core set load first. */
export function iconShapes(name: string): readonly Shape[] {
  const known = parsed.get(name)
  if (known) return known
  const body = coreIcons[name] ?? others.value?.[name]?.body ?? (others.value ? coreIcons.puzzle : undefined)
  if (body === undefined) {
    void loadOthers()
    return []
  }
  const shapes = shapesOf(body)
  parsed.set(name, shapes)
  return shapes
}

async function loadOthers(): Promise<void> {
  if (loading) return
  loading = true
  const set = await import('@iconify-json/lucide/icons.json')
  others.value = set.icons
}

/** Icon bodies are our own build's text, yet they become elements one by one and never HTML. */
function shapesOf(body: string): Shape[] {
  return [...body.matchAll(/<(path|circle|rect|line|ellipse|polyline|polygon)\s([^>]*?)\/?>/g)].map(
    ([, tag = 'path', text = '']) => ({
      tag,
      attributes: Object.fromEntries(
        [...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value]),
      ),
    }),
  )
}
