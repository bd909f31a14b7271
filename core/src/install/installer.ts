import { createHash } from 'node:crypto'
import { fleetError } from '../errors.ts'
import type { AgentRelease } from './agent-release.ts'

/** The installer that machines fetch, for one address of this server. */
export interface ServedInstaller {
  readonly text: string
  /** Of the text as it is sent. */
  readonly sha256: string
}

/**
 * Puts what a new machine must know into the installer: this server's address, the key of the release, and the hashes of its files. Each value has been
 * checked to hold nothing that a shell reads. Throws FLT_INSTALL_ADDRESS for an address that is none.
 */
export function servedInstaller(release: AgentRelease, serverUrl: string): ServedInstaller {
  const { statement, publicKey, installer } = release
  const { archive, nodes, version } = statement
  if (!/^https?:\/\/[A-Za-z0-9.:[\]_-]{1,260}(\/[A-Za-z0-9._~-]+)*$/.test(serverUrl))
    throw fleetError('FLT_INSTALL_ADDRESS')
  const values: Readonly<Record<string, string>> = {
    BAKED_SERVER_URL: serverUrl,
    BAKED_VERSION: version,
    BAKED_RELEASE_KEY: publicKey,
    BAKED_RELEASE_SHA256: createHash('sha256').update(release.signed.bytes).digest('hex'),
    BAKED_ARCHIVE: archive.name,
    BAKED_NODES: nodes.map((node) => `${node.arch} ${node.version} ${node.glibc} ${node.name}`).join(';'),
  }
  const text = installer.replace(/^(BAKED_[A-Z0-9_]+)=''$/gm, (line, name: string) =>
    name in values ? `${name}='${values[name]}'` : line,
  )
  return { text, sha256: createHash('sha256').update(text).digest('hex') }
}
