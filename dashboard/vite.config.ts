import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'
import { checkMessages } from './build/check-messages.ts'
import { coreIcons } from './build/core-icons.ts'
import { firstLoad } from './build/first-load.ts'
import { sharedModules, shareModules } from './build/shared-modules.ts'

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  define: {
    __VUE_I18N_LEGACY_API__: 'false',
    __VUE_I18N_FULL_INSTALL__: 'false',
    __INTLIFY_PROD_DEVTOOLS__: 'false',
  },
  resolve: { conditions: ['source', 'module', 'browser', 'production'] },
  plugins: [
    vue(),
    coreIcons(),
    checkMessages(fileURLToPath(new URL('./src', import.meta.url))),
    shareModules(),
    firstLoad(200),
  ],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rolldownOptions: { external: [...sharedModules] },
  },
})
