import { defineStore } from 'pinia'
import { markRaw, shallowRef } from 'vue'
import { createLiveSocket, type LiveState } from '../api/live-socket.ts'
import { apiUrl, request } from '../api/request.ts'

/** The tab's one WebSocket and how it is. */
export const useLive = defineStore('live', () => {
  const state = shallowRef<LiveState>('idle')
  const socket = markRaw(
    createLiveSocket({
      url: () => apiUrl('ws'),
      onState: (next) => {
        state.value = next
      },
      // A refused upgrade tells the browser nothing; this answers 401 where the session has ended.
      onRefused: () => void request('GET', 'auth/me').catch(() => undefined),
    }),
  )
  return { state, socket }
})
