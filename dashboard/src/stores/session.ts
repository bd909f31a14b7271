import type { Role } from '@fleetupdate/sdk'
import { defineStore } from 'pinia'
import { computed, shallowRef } from 'vue'
import { isRecord, onSignedOut, request } from '../api/request.ts'
import { useLive } from './live.ts'

export interface User {
  readonly name: string
  readonly role: Role
}

const rank: Readonly<Record<Role, number>> = { viewer: 0, operator: 1, admin: 2 }

/** Who is signed in. `expired` tells that somebody was, and is no longer. */
export const useSession = defineStore('session', () => {
  const user = shallowRef<User>()
  const known = shallowRef(false)
  const expired = shallowRef(false)
  const live = useLive()

  const enter = (answer: unknown): void => {
    user.value = userOf(answer)
    known.value = true
    expired.value = false
    live.socket.start()
  }
  const leave = (): void => {
    live.socket.stop()
    user.value = undefined
    known.value = true
  }
  onSignedOut(() => {
    if (user.value) expired.value = true
    leave()
  })

  return {
    user,
    known,
    expired,
    /** True where the person may do what needs this role. */
    may: computed(() => (role: Role) => user.value !== undefined && rank[user.value.role] >= rank[role]),
    async resume(): Promise<void> {
      try {
        enter(await request('GET', 'auth/me'))
      } catch {
        known.value = true
      }
    },
    /** `code` is that of the second factor, where the server asked for it. */
    async login(username: string, password: string, code?: string): Promise<void> {
      const more = code === undefined ? {} : { code }
      enter(await request('POST', 'auth/login', { body: { username, password, ...more } }))
    },
    async logout(): Promise<void> {
      await request('POST', 'auth/logout', { body: {} }).catch(() => undefined)
      leave()
    },
  }
})

function userOf(answer: unknown): User | undefined {
  const user = isRecord(answer) && isRecord(answer.user) ? answer.user : answer
  if (!isRecord(user) || typeof user.name !== 'string') return undefined
  const role = user.role === 'admin' || user.role === 'operator' ? user.role : 'viewer'
  return { name: user.name, role }
}
