import { onScopeDispose, type Ref, shallowRef } from 'vue'

/** Follows a media query. */
export function useMedia(query: string): Readonly<Ref<boolean>> {
  const media = matchMedia(query)
  const matches = shallowRef(media.matches)
  const update = (): void => {
    matches.value = media.matches
  }
  media.addEventListener('change', update)
  onScopeDispose(() => media.removeEventListener('change', update))
  return matches
}
