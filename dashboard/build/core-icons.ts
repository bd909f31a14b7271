import { createRequire } from 'node:module'
import type { Plugin } from 'vite'
import { iconNames } from '../src/kit/icon-names.ts'

interface IconSet {
  readonly icons: Readonly<Record<string, { readonly body: string } | undefined>>
  readonly aliases: Readonly<Record<string, { readonly parent: string } | undefined>>
}

const id = 'virtual:core-icons'

/** The icons of `icon-names.ts` out of the lucide set, as a module. An icon that does not exist fails the build. */
export function coreIcons(): Plugin {
  return {
    name: 'fleetupdate:core-icons',
    resolveId: (source) => (source === id ? `\0${id}` : undefined),
    load(source) {
      if (source !== `\0${id}`) return undefined
      const set: IconSet = createRequire(import.meta.url)('@iconify-json/lucide/icons.json')
      const entries = iconNames.map((name) => {
        const body = set.icons[set.aliases[name]?.parent ?? name]?.body
        if (body === undefined) throw new Error(`icon-names.ts: lucide has no icon "${name}"`)
        return [name, body]
      })
      return `export default ${JSON.stringify(Object.fromEntries(entries))}`
    },
  }
}
