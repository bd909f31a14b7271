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
  let frame = 0
  const measure = (): void => {
    cancelAnimationFrame(frame)
    frame = requestAnimationFrame(() => {
      top.value = Math.max(0, -(body.value?.getBoundingClientRect().top ?? 0))
      height.value = innerHeight
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
    Math.max(0, Math.min(Math.floor(top.value / rowHeight()) - spare, count() - spare)),
  )
  const last = computed(() => Math.min(count(), Math.ceil((top.value + height.value) / rowHeight()) + spare))
  return { first, last }
}
