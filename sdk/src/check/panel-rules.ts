import type { Rule } from './rule.ts'
import type { Subject } from './subject.ts'

/** What came into `@fleetupdate/sdk/panel` after 1.0, and with which version. */
const since: Readonly<Record<string, string>> = { useMay: '1.1', useRoutes: '1.1', useSubmit: '1.1' }

/** A host of an older minor version would load the panel, and break on what it has not. */
export const sdkVersionRule: Rule = {
  name: 'sdk-version',
  problems: ({ manifest, sources }) =>
    Object.entries(since)
      .filter(([name, version]) => isOlder(manifest.sdk, version) && importsOfPanelKit(sources).has(name))
      .map(
        ([name, version]) =>
          `${name} came with version ${version} of the sdk; write "sdk": "${version}" in package.json`,
      ),
}

/** A panel asks its own routes, and everything through the dashboard, which knows where the server is and who is signed in. */
export const panelRoutesRule: Rule = {
  name: 'panel-routes',
  problems: ({ manifest: { id }, sources }) =>
    [...sources]
      .filter(([file]) => /^src\/panel\//.test(file) && !/\.test\.[jt]s$/.test(file))
      .flatMap(([file, text]) => [
        ...[...text.matchAll(/(?<![.\w])(?:window\.|globalThis\.|navigator\.)?(\w+)\s*\(/g)]
          .filter(([, name = '']) => pastTheDashboard.has(name))
          .map(
            ([, name]) =>
              `${file} uses ${name}; ask with useRoutes (own routes), useFleet or useTopic, which work below any address`,
          ),
        ...[...text.matchAll(/\.call(?:<[\s\S]{0,200}?>)?\(\s*['"][A-Z]+['"]\s*,\s*['"`]([^'"`]*)/g)]
          .filter(([, path = '']) => /^$|^\/|^api\/|^\w+:|\.\.|[?#]/.test(path))
          .map(
            ([, path]) =>
              `${file} calls "${path}"; name a path below /api/plugins/${id}, without a leading slash, and put what follows a ? into query`,
          ),
      ]),
}

const pastTheDashboard: ReadonlySet<string> = new Set([
  'fetch',
  'XMLHttpRequest',
  'EventSource',
  'WebSocket',
  'sendBeacon',
])

function importsOfPanelKit(sources: Subject['sources']): ReadonlySet<string> {
  const names = [...sources.values()].flatMap((text) =>
    [...text.matchAll(/import\s*\{([^}]*)\}\s*from\s*['"]@fleetupdate\/sdk\/panel['"]/g)].flatMap(
      ([, list = '']) => list.split(',').map((name) => name.trim().split(/\s/)[0] ?? ''),
    ),
  )
  return new Set(names)
}

function isOlder(version: string, wanted: string): boolean {
  const [[major = 0, minor = 0], [wantedMajor = 0, wantedMinor = 0]] = [version, wanted].map((text) =>
    text.split('.').map(Number),
  ) as [number[], number[]]
  return major === wantedMajor ? minor < wantedMinor : major < wantedMajor
}
