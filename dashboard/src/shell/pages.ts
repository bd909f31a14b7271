import type { Role } from '@fleetupdate/sdk'
import { computed, type Ref } from 'vue'
import { usePanelPages } from '../panels/panel-pages.ts'
import { useSession } from '../stores/session.ts'
import { t } from '../text.ts'

export interface ShellPage {
  readonly to: string
  readonly icon: string
  readonly label: string
  /** The pages of every day, or those that look after the server. */
  readonly group: 'work' | 'care'
  /** Whether a path belongs to it. */
  holds(path: string): boolean
}

/** The pages of the navigation and the palette that this person may see. */
export function useShellPages(): Readonly<Ref<readonly ShellPage[]>> {
  const panels = usePanelPages()
  const session = useSession()
  const page = (
    to: string,
    icon: string,
    label: string,
    group: ShellPage['group'],
    also: RegExp = new RegExp(`^${to}(/|$)`),
  ): ShellPage => ({ to, icon, label, group, holds: (path) => also.test(path) })
  const forRole = (role: Role, pages: readonly ShellPage[]): readonly ShellPage[] =>
    session.may(role) ? pages : []
  return computed(() => [
    page('/', 'server', t('nav.fleet'), 'work', /^\/($|agents)/),
    page('/commands', 'terminal', t('nav.commands'), 'work', /^\/(commands|batches)/),
    ...panels.value.map(({ id, title, icon }) => page(`/panels/${id}`, icon, title, 'work')),
    ...forRole('admin', [
      page('/enrolment', 'ticket', t('nav.enrolment'), 'care'),
      page('/people', 'users', t('nav.people'), 'care'),
      page('/audit', 'scroll-text', t('nav.audit'), 'care'),
    ]),
    page('/plugins', 'puzzle', t('nav.plugins'), 'care'),
    page('/settings', 'settings', t('nav.settings'), 'care'),
  ])
}
