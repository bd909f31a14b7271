import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface OutsidePlugin {
  readonly id: string
  readonly title: string
  readonly slots: readonly string[]
  /** The panel's module, as its author's build would give it. */
  readonly panel: string
  readonly commands?: object
}

/** Writes a built plugin into a folder outside of the repository; answers the folder. */
export function outsidePlugin({ id, title, slots, panel, commands = {} }: OutsidePlugin): string {
  const folder = join(mkdtempSync(join(tmpdir(), 'outside-')), id)
  mkdirSync(join(folder, 'dist/panel'), { recursive: true })
  const contract = { id, facts: {}, facets: {}, commands }
  writeFileSync(
    join(folder, 'dist/server.js'),
    `export default { contract: ${JSON.stringify(contract)}, migrations: [] }`,
  )
  writeFileSync(join(folder, 'dist/panel/panel.js'), panel)
  writeFileSync(join(folder, 'dist/panel/panel.css'), '.greeting { color: rgb(1, 2, 3) }')
  const manifest = {
    id,
    sdk: '1',
    title,
    server: './dist/server.js',
    panel: { module: './dist/panel/panel.js', styles: ['./dist/panel/panel.css'], slots, title },
  }
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: id, version: '1.0.0', type: 'module', fleetupdate: manifest }),
  )
  return folder
}

/** Uses the kit, a composable, messages in two languages, and a style of its own. */
export const greetingPanel = `
import { h, ref } from 'vue'
import { FleetCard, FleetButton, definePanel, useText } from '@fleetupdate/sdk/panel'
const Greeting = {
  props: ['agent'],
  setup({ agent }) {
    const { t } = useText()
    const count = ref(0)
    return () => h(FleetCard, { title: t('hello') }, () => [
      h('p', { class: 'greeting' }, agent.id + ' ' + count.value),
      h(FleetButton, { onClick: () => count.value++ }, () => t('more')),
    ])
  },
}
export default definePanel({ id: 'greeting' }, {
  title: 'Greeting',
  messages: { en: { hello: 'Hello from outside', more: 'Once more' }, fr: { hello: 'Bonjour du dehors', more: 'Encore' } },
  slots: { 'agent.card': async () => ({ default: Greeting }) },
})`

export const throwingPanel = `
import { definePanel } from '@fleetupdate/sdk/panel'
export default definePanel({ id: 'throwing' }, {
  title: 'Throwing',
  slots: { 'agent.card': async () => ({ default: { setup() { throw new Error('it fell over') } } }) },
})`

export const unreadablePanel = 'this is no JavaScript at all'
