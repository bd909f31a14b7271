import { ref } from 'vue'
import { createI18n } from 'vue-i18n'
import { agoFormat, dateFormat, numberFormat } from './intl-formats.ts'
import en from './messages/en.json'

/** A key that every language has; the build fails otherwise. */
export type MessageKey = keyof typeof en

export type Parameters = Readonly<Record<string, string | number>>

export const languages = ['en', 'fr'] as const
export type Language = (typeof languages)[number]

/** The instance behind all texts. Messages are flat: a key is looked up as it is. */
export const i18n = createI18n({
  legacy: false,
  locale: 'en',
  fallbackLocale: 'en',
  messages: { en } as Readonly<Record<string, Readonly<Record<string, string>>>>,
  messageResolver: (messages, key) => lookUp(messages, key),
  pluralRules: { fr: (count, forms) => Math.min(count < 2 ? 0 : 1, forms - 1) },
  missingWarn: false,
  fallbackWarn: false,
  warnHtmlMessage: false,
})

const { global } = i18n
const nowMs = ref(Date.now())
setInterval(() => {
  nowMs.value = Date.now()
}, 10_000)

export function t(key: MessageKey, parameters: Parameters = {}): string {
  return global.t(key, parameters)
}

/** The form of a message that fits a count, which it may show as `{count}`. */
export function plural(key: MessageKey, count: number, parameters: Parameters = {}): string {
  return global.t(key, { count: formatNumber(count), n: count, ...parameters }, count)
}

/** A message whose key is only known at run time, such as a panel's; `otherwise` where there is none. */
export function textOf(key: string, otherwise: string, parameters: Parameters = {}, count?: number): string {
  if (!global.te(key) && !global.te(key, 'en')) return otherwise
  return count === undefined ? global.t(key, parameters) : global.t(key, parameters, count)
}

/** Switches all texts; loads the language's messages the first time. */
export async function setLanguage(language: Language): Promise<void> {
  if (language === 'fr' && !global.availableLocales.includes('fr'))
    global.mergeLocaleMessage('fr', (await import('./messages/fr.json')).default)
  global.locale.value = language
  document.documentElement.lang = language
}

/** Adds a panel's messages under its id, for every language it has. */
export function addPanelMessages(id: string, messages: Readonly<Record<string, Parameters>>): void {
  for (const [language, texts] of Object.entries(messages))
    global.mergeLocaleMessage(
      language,
      Object.fromEntries(Object.entries(texts).map(([key, text]) => [`${id}.${key}`, String(text)])),
    )
}

export function formatNumber(value: number, options?: Intl.NumberFormatOptions): string {
  return numberFormat(global.locale.value, options).format(value)
}

/** 1 536 → `1.5 kB`; binary steps, as memory and disks are counted. */
export function formatBytes(bytes: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return formatNumber(bytes / 1024 ** step, {
    style: 'unit',
    unit: units[step] ?? 'byte',
    unitDisplay: step === 0 ? 'long' : 'short',
    maximumFractionDigits: step === 0 ? 0 : 1,
  })
}

/** `3 hours ago`, kept true by a clock. An unreadable time is shown as it came. */
export function formatAgo(iso: string): string {
  const then = Date.parse(iso)
  if (Number.isNaN(then)) return iso
  const seconds = (then - nowMs.value) / 1000
  if (Math.abs(seconds) < 20) return t('time.now')
  const [unit, size] = timeUnits.find(([, size]) => Math.abs(seconds) < size * limitOf(size)) ?? longestUnit
  return agoFormat(global.locale.value, { numeric: 'auto', style: 'short' }).format(
    Math.round(seconds / size),
    unit,
  )
}

/** Date and time to the second, in the person's own zone. */
export function formatExact(iso: string): string {
  const then = new Date(iso)
  if (Number.isNaN(then.getTime())) return iso
  return dateFormat(global.locale.value, { dateStyle: 'long', timeStyle: 'medium' }).format(then)
}

/** `25 Nov, 22:48:15`: short, to the second, in the person's own zone. */
export function formatMoment(iso: string): string {
  const then = new Date(iso)
  if (Number.isNaN(then.getTime())) return iso
  const day = { day: 'numeric', month: 'short' } as const
  const time = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' } as const
  const parts = { ...day, ...time }
  return dateFormat(global.locale.value, parts).format(then)
}

/** `2 min 5 s`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  const parts = [
    [Math.floor(seconds / 3600), 'hour'],
    [Math.floor((seconds % 3600) / 60), 'minute'],
    [seconds % 60, 'second'],
  ] as const
  const shown = parts.filter(([value]) => value > 0).slice(0, 2)
  if (shown.length === 0) return formatNumber(0, { style: 'unit', unit: 'second', unitDisplay: 'short' })
  return shown
    .map(([value, unit]) => formatNumber(value, { style: 'unit', unit, unitDisplay: 'short' }))
    .join(' ')
}

const timeUnits = [
  ['second', 1],
  ['minute', 60],
  ['hour', 3600],
  ['day', 86_400],
] as const satisfies readonly (readonly [Intl.RelativeTimeFormatUnit, number])[]
const longestUnit = ['day', 86_400] as const

function limitOf(size: number): number {
  return size === 86_400 ? Number.POSITIVE_INFINITY : size === 3600 ? 36 : 90
}

function lookUp(messages: unknown, key: string): string | null {
  if (typeof messages !== 'object' || messages === null) return null
  const text: unknown = Reflect.get(messages, key)
  return typeof text === 'string' ? text : null
}
