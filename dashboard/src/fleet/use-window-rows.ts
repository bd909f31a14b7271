import { computed, onBeforeUnmount, onMounted, type Ref, shallowRef } from 'vue'

export interface WindowRows {
  /** First row to draw, and the one after the last. */
  readonly first: Readonly<Ref<number>>
  readonly last: Readonly<Ref<number>>
}

const spare = 8

/** Which of many rows of one height are on the screen while the page scrolls. `body` is the element that holds them all. */
export function useWindowRows(
  body: Readonly<Ref<HTMLElement | null>>,
  count: () => number,
  rowHeight: () => number,
): WindowRows {
  const top = shallowRef(0)
  const height = shallowRef(innerHeight)
  const around = shallowRef(spare)
  let frame = 0
  const measure = (): void => {
    cancelAnimationFrame(frame)
    frame = requestAnimationFrame(() => {
      const next = Math.max(0, -(body.value?.getBoundingClientRect().top ?? 0))
      // After a leap no row stays. What the person sees comes first, what is around it with the next frame.
      const isLeap = Math.abs(next - top.value) > height.value
      top.value = next
      height.value = innerHeight
      around.value = isLeap ? 0 : spare
      if (isLeap) measure()
    })
  }
  onMounted(() => {
    addEventListener('scroll', measure, { passive: true })
    addEventListener('resize', measure, { passive: true })
    measure()
  })
  onBeforeUnmount(() => {
    cancelAnimationFrame(frame)
    removeEventListener('scroll', measure)
    removeEventListener('resize', measure)
  })
  const first = computed(() =>
    Math.max(0, Math.min(Math.floor(top.value / rowHeight()) - around.value, count() - spare)),
  )
  const last = computed(() =>
    Math.min(count(), Math.ceil((top.value + height.value) / rowHeight()) + around.value),
  )
  return { first, last }
}
