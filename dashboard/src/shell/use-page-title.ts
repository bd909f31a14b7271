import { watchEffect } from 'vue'

/** Names the page in the tab of the browser. */
export function usePageTitle(title: () => string): void {
  watchEffect(() => {
    document.title = `${title()} · FleetUpdate`
  })
}
