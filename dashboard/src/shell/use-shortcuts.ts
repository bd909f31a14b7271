import { onBeforeUnmount, onMounted } from 'vue'

/** Keys by name, `ctrl+k` or `/`, for as long as the component lives. Plain letters do nothing while somebody types. */
export function useShortcuts(shortcuts: Readonly<Record<string, () => void>>): void {
  const press = (event: KeyboardEvent): void => {
    const name = [
      event.ctrlKey && 'ctrl',
      event.metaKey && 'meta',
      event.altKey && 'alt',
      event.key.toLowerCase(),
    ]
      .filter(Boolean)
      .join('+')
    const run = shortcuts[name]
    if (!run || (!name.includes('+') && isTyping(event.target)) || document.querySelector('dialog[open]'))
      return
    event.preventDefault()
    run()
  }
  onMounted(() => addEventListener('keydown', press))
  onBeforeUnmount(() => removeEventListener('keydown', press))
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  )
}
