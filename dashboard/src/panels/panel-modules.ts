import type { Panel, SlotName } from '@fleetupdate/sdk'
import { isRecord } from '../api/request.ts'
import type { PluginView } from '../api/views.ts'
import { addPanelMessages } from '../text.ts'

export interface LoadedSlot {
  readonly plugin: string
  readonly title: string
  readonly icon: string
  /** What the panel's loader gave: a component, or a list for slots that take lists. */
  readonly content: unknown
}

const modules = new Map<string, Promise<Panel>>()
const contents = new Map<string, Promise<LoadedSlot>>()

/** Loads what a plugin's panel offers for a slot, once. Rejects with the reason where the panel is broken. */
export function loadSlot(plugin: PluginView, slot: SlotName): Promise<LoadedSlot> {
  const key = `${plugin.panel?.module}#${slot}`
  const known = contents.get(key)
  if (known) return known
  const loading = load(plugin, slot)
  contents.set(key, loading)
  loading.catch(() => contents.delete(key))
  return loading
}

/** The panel itself, with its messages added. */
export function loadPanel(plugin: PluginView): Promise<Panel> {
  const address = plugin.panel?.module ?? ''
  const known = modules.get(address)
  if (known) return known
  const loading = loadModule(plugin)
  modules.set(address, loading)
  loading.catch(() => modules.delete(address))
  return loading
}

async function load(plugin: PluginView, slot: SlotName): Promise<LoadedSlot> {
  const panel = await loadPanel(plugin)
  const loader = panel.slots[slot]
  if (typeof loader !== 'function') throw new Error(`its module offers nothing for "${slot}"`)
  const { default: content } = await loader()
  if (content === undefined || content === null) throw new Error(`what it offers for "${slot}" is empty`)
  return { plugin: plugin.id, title: panel.title, icon: panel.icon ?? 'puzzle', content }
}

async function loadModule(plugin: PluginView): Promise<Panel> {
  for (const style of plugin.panel?.styles ?? []) addStyle(here(style))
  const loaded: unknown = await import(/* @vite-ignore */ here(plugin.panel?.module ?? '').href)
  const panel = isRecord(loaded) || isModule(loaded) ? Reflect.get(loaded, 'default') : undefined
  if (!isPanel(panel)) throw new Error('its module has no default export made by definePanel')
  if (panel.messages) addPanelMessages(plugin.id, panel.messages)
  return panel
}

function isModule(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function isPanel(value: unknown): value is Panel {
  return isRecord(value) && typeof value.title === 'string' && isRecord(value.slots)
}

/** Addresses in the manifest start at the server's root, which need not be the root of the host. */
function here(path: string): URL {
  return new URL(path.replace(/^\//, ''), document.baseURI)
}

function addStyle(url: URL): void {
  if (document.querySelector(`link[href="${CSS.escape(url.href)}"]`)) return
  const link = document.createElement('link')
  link.rel = 'stylesheet'
  link.href = url.href
  document.head.append(link)
}
