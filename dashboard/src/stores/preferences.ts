import { defineStore } from 'pinia'
import { shallowRef, watch } from 'vue'
import { type Language, languages, setLanguage } from '../text.ts'

export const themes = ['system', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]

/** What this browser remembers: colours and language. */
export const usePreferences = defineStore('preferences', () => {
  const theme = shallowRef<Theme>(themes.find((name) => name === read('theme')) ?? 'system')
  const language = shallowRef<Language>(firstLanguage())
  watch(
    theme,
    (name) => {
      if (name === 'system') delete document.documentElement.dataset.theme
      else document.documentElement.dataset.theme = name
      write('theme', name)
    },
    { immediate: true },
  )
  return {
    theme,
    language,
    async speak(next: Language): Promise<void> {
      await setLanguage(next)
      language.value = next
      write('language', next)
    },
  }
})

function firstLanguage(): Language {
  const wanted = [read('language'), ...navigator.languages.map((name) => name.slice(0, 2))]
  return wanted.flatMap((name) => languages.filter((language) => language === name))[0] ?? 'en'
}

function read(name: string): string | null {
  try {
    return localStorage.getItem(`fleetupdate.${name}`)
  } catch {
    return null
  }
}

function write(name: string, value: string): void {
  try {
    localStorage.setItem(`fleetupdate.${name}`, value)
  } catch {
    // A browser that forgets is no reason to stop.
  }
}
