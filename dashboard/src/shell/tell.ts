import { shallowRef } from 'vue'

export interface Said {
  readonly id: number
  readonly message: string
  readonly tone: 'ok' | 'danger' | 'info'
}

const shownMs = 6000
const shownAtOnce = 4
let lastId = 0

/** What is shown in the corner now, oldest first. */
export const said = shallowRef<readonly Said[]>([])

/** Says something in passing; it leaves by itself after a few seconds. */
export function tell(message: string, tone: Said['tone'] = 'info'): void {
  lastId += 1
  const id = lastId
  said.value = [...said.value, { id, message, tone }].slice(-shownAtOnce)
  setTimeout(() => unsay(id), shownMs)
}

export function unsay(id: number): void {
  said.value = said.value.filter((item) => item.id !== id)
}
