import type { Role } from '@fleetupdate/sdk'
import { createRouter, createWebHistory, type Router } from 'vue-router'
import { useSession } from './stores/session.ts'

declare module 'vue-router' {
  interface RouteMeta {
    /** Who may see it; others are led to the fleet. */
    readonly role?: Role
    /** Shown without being signed in. */
    readonly open?: boolean
  }
}

/** The pages, and the door: whoever is not signed in sees the login page first and then where they wanted to go. */
export function createDashboardRouter(): Router {
  const router = createRouter({
    history: createWebHistory(new URL(document.baseURI).pathname),
    scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
    routes: [
      {
        path: '/login',
        name: 'login',
        component: () => import('./pages/LoginPage.vue'),
        meta: { open: true },
      },
      { path: '/', name: 'fleet', component: () => import('./pages/FleetPage.vue') },
      {
        path: '/agents/:id/:tab?',
        name: 'agent',
        component: () => import('./pages/AgentPage.vue'),
        props: true,
      },
      { path: '/commands', name: 'commands', component: () => import('./pages/CommandsPage.vue') },
      {
        path: '/commands/:id',
        name: 'command',
        component: () => import('./pages/CommandPage.vue'),
        props: true,
      },
      { path: '/batches/:id', name: 'batch', component: () => import('./pages/BatchPage.vue'), props: true },
      { path: '/plugins', name: 'plugins', component: () => import('./pages/PluginsPage.vue') },
      { path: '/panels/:id', name: 'panel', component: () => import('./pages/PanelPage.vue'), props: true },
      { path: '/account', name: 'account', component: () => import('./pages/AccountPage.vue') },
      {
        path: '/enrolment',
        name: 'enrolment',
        component: () => import('./pages/EnrolmentPage.vue'),
        meta: { role: 'admin' },
      },
      {
        path: '/people',
        name: 'people',
        component: () => import('./pages/PeoplePage.vue'),
        meta: { role: 'admin' },
      },
      {
        path: '/audit',
        name: 'audit',
        component: () => import('./pages/AuditPage.vue'),
        meta: { role: 'admin' },
      },
      { path: '/settings', name: 'settings', component: () => import('./pages/SettingsPage.vue') },
      { path: '/:rest(.*)*', name: 'nowhere', component: () => import('./pages/NowherePage.vue') },
    ],
  })
  router.beforeEach(async (to) => {
    const session = useSession()
    if (!session.known) await session.resume()
    if (session.user && to.name === 'login') return { name: 'fleet' }
    if (!session.user && !to.meta.open)
      return { name: 'login', query: to.fullPath === '/' ? {} : { to: to.fullPath } }
    if (to.meta.role && !session.may(to.meta.role)) return { name: 'fleet' }
    return true
  })
  return router
}
