import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'
import { registerTS } from 'vue/compiler-sfc'
import { checkMessages } from './build/check-messages.ts'
import { compressed } from './build/compressed.ts'
import { coreIcons } from './build/core-icons.ts'
import { firstLoad } from './build/first-load.ts'
import { sharedModules, shareModules } from './build/shared-modules.ts'

// So that components may declare their props by types of the sdk; the native compiler has no such interface.
registerTS(() => createRequire(import.meta.url)('typescript'))

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
    compressed(),
  ],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    // The largest is the set of all icons, loaded only where a panel names an unusual one.
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      external: [...sharedModules],
      output: {
        codeSplitting: {
          groups: [
            { name: 'vendor', test: /node_modules\/(vue-router|vue-i18n|@intlify)\// },
            // Not the entry itself: an entry of imports alone would become script tags, also for the shared modules.
            {
              name: 'shell',
              test: /dashboard\/src\/(?!main\.ts|(pages|messages|people|account|enrolment|audit|plugins|forms)\/)(?!.*(Terminal|Chart)View)/,
            },
          ],
        },
      },
    },
  },
})
