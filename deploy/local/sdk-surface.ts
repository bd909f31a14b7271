import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CompilerState, Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor'

/** What the sdk promises to authors: entry point → its declarations after a build. */
export const promised = {
  '@fleetupdate/sdk': 'index',
  '@fleetupdate/sdk/executor': 'executor',
  '@fleetupdate/sdk/panel': 'panel/index',
  '@fleetupdate/sdk/testing': 'testing/index',
} as const

export interface Surface {
  readonly entry: string
  /** The exported declarations, sorted, without what is inside of them. */
  readonly report: string
  readonly items: readonly ApiItem[]
}

export interface ApiItem {
  readonly kind: string
  readonly name: string
  readonly docComment: string
  readonly excerptTokens: readonly { readonly kind: string; readonly text: string }[]
  readonly members?: readonly ApiItem[]
  readonly isOptional?: boolean
  readonly propertyTypeTokenRange?: { readonly startIndex: number; readonly endIndex: number }
}

/** Reads the surface of every promised entry point out of a built sdk. Throws where it was not built. */
export function readSurface(root: string): readonly Surface[] {
  const out = mkdtempSync(join(tmpdir(), 'sdk-surface-'))
  try {
    const sdk = join(root, 'sdk')
    const configs = Object.entries(promised).map(([entry, file], i) => {
      const name = `surface-${i}`
      return { entry, name, config: configOf(sdk, declarationsOf(sdk, file), join(out, name)) }
    })
    const [first] = configs
    if (!first) return []
    // Types are read once for all entry points.
    const compilerState = CompilerState.create(first.config, {
      additionalEntryPoints: Object.values(promised).map((file) => declarationsOf(sdk, file)),
    })
    return configs.map(({ entry, name, config }) => {
      extract(config, compilerState)
      const report = readFileSync(join(out, `${name}.api.md`), 'utf8')
      const model = JSON.parse(readFileSync(join(out, `${name}.api.json`), 'utf8'))
      return { entry, report: codeOf(report), items: model.members[0].members }
    })
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
}

function declarationsOf(sdk: string, file: string): string {
  return join(sdk, `dist/${file}.d.ts`)
}

function configOf(sdk: string, declarations: string, target: string): ExtractorConfig {
  const quiet = { default: { logLevel: ExtractorLogLevel.None } }
  const folder = join(target, '..')
  return ExtractorConfig.prepare({
    packageJsonFullPath: join(sdk, 'package.json'),
    configObjectFullPath: undefined,
    configObject: {
      projectFolder: sdk,
      mainEntryPointFilePath: declarations,
      newlineKind: 'lf',
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            target: 'es2022',
            lib: ['es2022', 'dom'],
            module: 'esnext',
            moduleResolution: 'bundler',
            strict: true,
            skipLibCheck: true,
            allowImportingTsExtensions: true,
            noEmit: true,
            types: ['node'],
          },
          files: [declarations],
        },
      },
      apiReport: {
        enabled: true,
        reportFileName: `${target.slice(folder.length + 1)}.api.md`,
        reportFolder: folder,
        reportTempFolder: join(folder, 'temp'),
      },
      docModel: { enabled: true, apiJsonFilePath: `${target}.api.json` },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        extractorMessageReporting: quiet,
        tsdocMessageReporting: quiet,
        compilerMessageReporting: quiet,
      },
    },
  })
}

function extract(config: ExtractorConfig, compilerState: CompilerState): void {
  const { errorCount } = Extractor.invoke(config, {
    localBuild: true,
    compilerState,
    messageCallback(message) {
      message.handled = true
    },
  })
  if (errorCount > 0) throw new Error(`${config.mainEntryPointFilePath} cannot be read. Run: npm run build`)
}

function codeOf(report: string): string {
  const [, code = ''] = /```ts\n([\s\S]*?)\n?```/.exec(report) ?? []
  return code
    .replace(/^\/\/ \(No @packageDocumentation.*$/m, '')
    .replace(/^ *\/\/ \(undocumented\)\n/gm, '')
    .replaceAll(' (undocumented)', '')
    .trim()
}
