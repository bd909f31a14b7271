import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** The network address of whoever made a request. */
export type ClientAddress = (request: Pick<IncomingMessage, 'headers' | 'socket'>) => string

/**
 * The other end of the connection; where that is one of the proxies that the operator named, what it wrote into X-Forwarded-For, from the right up to the
 * first address that is no such proxy. Used for the back-off of logins and the audit, never for what the server is called.
 */
export function createClientAddress(proxies: BlockList | undefined): ClientAddress {
  return ({ headers, socket }) => {
    let address = socket.remoteAddress ?? ''
    if (!proxies) return address
    const hops = String(headers['x-forwarded-for'] ?? '').split(',')
    while (isIn(proxies, address)) {
      const next = plain(hops.pop()?.trim() ?? '')
      if (isIP(next) === 0) return address
      address = next
    }
    return address
  }
}

/** The proxies of TRUSTED_PROXIES; undefined where a text is neither an address nor a network like 10.0.0.0/8. */
export function readProxies(texts: readonly string[]): BlockList | undefined {
  const list = new BlockList()
  for (const text of texts) {
    const [address = '', bits, ...more] = text.split('/')
    const family = isIP(address)
    const isNetwork = bits !== undefined
    if (family === 0 || more.length > 0 || (isNetwork && !/^\d{1,3}$/.test(bits))) return undefined
    const type = family === 4 ? 'ipv4' : 'ipv6'
    if (!isNetwork) list.addAddress(address, type)
    else if (Number(bits) <= (family === 4 ? 32 : 128)) list.addSubnet(address, Number(bits), type)
    else return undefined
  }
  return list
}

/** Makes `request.ip` of an app that address; put it before every other hook. */
export function registerClientAddress(app: FastifyInstance, addressOf: ClientAddress): void {
  app.addHook('onRequest', (request, _reply, done) => {
    Object.defineProperty(request, 'ip', { value: addressOf(request.raw) })
    done()
  })
}

function isIn(list: BlockList, address: string): boolean {
  const bare = plain(address)
  const family = isIP(bare)
  return family !== 0 && list.check(bare, family === 4 ? 'ipv4' : 'ipv6')
}

/** Some proxies write a port; a socket that speaks both families writes IPv4 inside IPv6. */
function plain(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  return (
    mapped ??
    /^\[([^\]]+)\](?::\d+)?$/.exec(address)?.[1] ??
    address.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')
  )
}
