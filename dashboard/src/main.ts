import './styles/base.css'
import { panelHostKey } from '@fleetupdate/sdk/panel'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { createPanelHost } from './panels/panel-host.ts'
import { createDashboardRouter } from './router.ts'
import { usePreferences } from './stores/preferences.ts'
import { i18n, setLanguage } from './text.ts'

const app = createApp(App)
app.use(createPinia())
const router = createDashboardRouter()
app.use(i18n)
app.runWithContext(() => app.provide(panelHostKey, createPanelHost(router)))
await setLanguage(usePreferences().language)
app.use(router)
app.mount('#app')
