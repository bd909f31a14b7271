import { computed, type Ref, shallowRef, watch } from 'vue'
import { useRouter } from 'vue-router'
import { request } from '../api/request.ts'
import type { AgentRow, Page } from '../api/views.ts'
import { useCommandName } from '../commands/command-name.ts'
import { openRun } from '../commands/run-dialog.ts'
import { usePlugins } from '../stores/plugins.ts'
import { themes, usePreferences } from '../stores/preferences.ts'
import { useSession } from '../stores/session.ts'
import { t } from '../text.ts'
import { useShellPages } from './pages.ts'

export interface PaletteEntry {
  readonly key: string
  readonly icon: string
  readonly label: string
  readonly group: string
  run(): unknown
}

const agentsShown = 8
const typingMs = 120

/** What the palette offers for what was typed: pages, agents by id, commands and settings. */
export function usePaletteEntries(
  wanted: Readonly<Ref<string>>,
  open: () => boolean,
): Readonly<Ref<readonly PaletteEntry[]>> {
  const router = useRouter()
  const plugins = usePlugins()
  const session = useSession()
  const preferences = usePreferences()
  const nameOf = useCommandName()
  const shellPages = useShellPages()
  const agents = useAgentSearch(wanted, open)

  const pages = computed<readonly PaletteEntry[]>(() =>
    [...shellPages.value, { to: '/account', icon: 'user', label: t('nav.account') }].map(
      ({ to, icon, label }) => ({
        key: `page:${to}`,
        icon,
        label,
        group: t('palette.page'),
        run: () => router.push(to),
      }),
    ),
  )
  const themeEntries = computed<readonly PaletteEntry[]>(() =>
    themes.map((theme) => ({
      key: `theme:${theme}`,
      icon: { system: 'monitor', light: 'sun', dark: 'moon' }[theme],
      label: t(`theme.${theme}`),
      group: t('settings.theme'),
      run: () => {
        preferences.theme = theme
      },
    })),
  )
  const commandEntries = computed<readonly PaletteEntry[]>(() =>
    plugins.commands
      .filter(({ role }) => session.may(role))
      .map((command) => ({
        key: `run:${command.name}`,
        icon: 'play',
        label: nameOf(command.name),
        group: t('palette.command'),
        run: () => openRun({ command: command.name }),
      })),
  )
  const agentEntries = computed<readonly PaletteEntry[]>(() =>
    agents.value.map(({ id, status }) => ({
      key: `agent:${id}`,
      icon: status === 'online' ? 'server' : 'server-off',
      label: id,
      group: t('palette.agent'),
      run: () => router.push({ name: 'agent', params: { id } }),
    })),
  )
  return computed(() => {
    const words = wanted.value.toLowerCase().split(/\s+/).filter(Boolean)
    const fits = ({ label, group }: PaletteEntry): boolean =>
      words.every((word) => `${label} ${group}`.toLowerCase().includes(word))
    return [
      ...agentEntries.value,
      ...[...pages.value, ...commandEntries.value, ...themeEntries.value].filter(fits),
    ]
  })
}

function useAgentSearch(wanted: Readonly<Ref<string>>, open: () => boolean): Ref<readonly AgentRow[]> {
  const found = shallowRef<readonly AgentRow[]>([])
  watch([wanted, open], ([text, isOpen], _before, onCleanup) => {
    if (!isOpen || text.trim() === '') {
      found.value = []
      return
    }
    const abort = new AbortController()
    const timer = setTimeout(async () => {
      const query = { q: text.trim(), limit: agentsShown }
      const page = await request<Page<AgentRow>>('GET', 'agents', { query, signal: abort.signal }).catch(
        () => undefined,
      )
      if (page) found.value = page.items
    }, typingMs)
    onCleanup(() => {
      clearTimeout(timer)
      abort.abort()
    })
  })
  return found
}
