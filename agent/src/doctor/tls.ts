import { isIP } from 'node:net'
import { connect, type PeerCertificate } from 'node:tls'
import { describeError } from '../errors.ts'
import { bad, type Finding, ok, patienceMs, warn } from './finding.ts'

const dayMs = 86_400_000
const warnDays = 14
const timeFix =
  'Where the clock is wrong, set it: timedatectl set-ntp true, or date --set; else renew the certificate on the server, which takes up new files by itself.'

/** Looks at the certificate without believing it, so that what is wrong with it can be told. */
export function checkTls(host: string, port: number, ca: string | undefined): Promise<Finding[]> {
  return new Promise((done) => {
    const more = { ...(isIP(host) ? {} : { servername: host }), ...(ca === undefined ? {} : { ca }) }
    const socket = connect({ host, port, timeout: patienceMs, rejectUnauthorized: false, ...more })
    const end = (finding: Finding): void => {
      socket.destroy()
      done([finding])
    }
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerCertificate()
      end(
        socket.authorized
          ? soundness(host, certificate)
          : fault(host, certificate, socket.authorizationError),
      )
    })
    socket.once('timeout', () =>
      end(bad('tls', 'no TLS greeting within 8 s', 'Check what listens on that port.')),
    )
    socket.once('error', (error) =>
      end(
        bad(
          'tls',
          `no TLS here (${describeError(error)})`,
          'Use http:// in agent.server_url, or give the server a certificate.',
        ),
      ),
    )
  })
}

function soundness(host: string, certificate: PeerCertificate): Finding {
  const days = Math.floor((Date.parse(certificate.valid_to) - Date.now()) / dayMs)
  return days < warnDays
    ? warn('tls', `the certificate of ${host} ends in ${days} days`, 'Renew it on the server.')
    : ok('tls', `certificate by ${issuerOf(certificate)}, good for ${days} days`)
}

/** `problem` is what Node calls it: the code of OpenSSL, or its own for a name that does not fit. */
function fault(host: string, certificate: PeerCertificate, problem: unknown): Finding {
  const { valid_from: from, valid_to: until } = certificate
  const clock = `this machine's clock says ${new Date().toISOString()}`
  if (problem === 'CERT_HAS_EXPIRED') {
    const days = Math.floor((Date.now() - Date.parse(until)) / dayMs)
    const since = days === 1 ? '1 day' : `${days} days`
    return bad('tls', `the certificate of ${host} ended on ${dayOf(until)}, ${since} ago; ${clock}`, timeFix)
  }
  if (problem === 'CERT_NOT_YET_VALID')
    return bad('tls', `the certificate of ${host} counts only from ${dayOf(from)} on; ${clock}`, timeFix)
  if (problem === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return bad(
      'tls',
      `the certificate is for ${namesOf(certificate)}, not for ${host}`,
      `Use one of these names in agent.server_url, or give the server a certificate for ${host}.`,
    )
  return bad(
    'tls',
    `nobody whom this machine trusts signed the certificate of ${host}; it is by ${issuerOf(certificate)} (${problem})`,
    'Put the certificate of that authority into a file on this machine and name it in agent.ca_file.',
  )
}

function namesOf({ subject, subjectaltname }: PeerCertificate): string {
  const names = (subjectaltname ?? '').split(', ').map((name) => name.replace(/^(DNS|IP Address):/, ''))
  const text = names.filter(Boolean).slice(0, 10).join(', ') || one(subject?.CN) || 'nobody'
  return text.slice(0, 300)
}

function issuerOf({ issuer }: PeerCertificate): string {
  return (one(issuer?.O) ?? one(issuer?.CN) ?? 'an unknown authority').slice(0, 200)
}

function one(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0]
}

function dayOf(text: string): string {
  return new Date(text).toISOString().slice(0, 10)
}
