import { lookup } from 'node:dns/promises'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect, isIP } from 'node:net'
import { parseJson } from '../check.ts'
import { createServerClock } from '../clock.ts'
import type { AgentConfig } from '../config.ts'
import { describeError, errorCode } from '../errors.ts'
import { createHttp } from '../http-request.ts'
import type { Identity } from '../identity.ts'
import { createSignedHttp } from '../signed-http.ts'
import { bad, type Finding, ok, patienceMs, warn } from './finding.ts'
import { checkTls } from './tls.ts'

/** Beyond it a server refuses a signature; the agent then takes over the server's time, but logs and windows stay wrong. */
const clockSeconds = 300

type Server = Pick<AgentConfig, 'serverUrl' | 'ca'>

/** The way to the server, step by step; it ends at the first step that fails, because nothing after it can be told. */
export async function checkLink(server: Server, identity: Identity | undefined): Promise<readonly Finding[]> {
  const { serverUrl, ca } = server
  const url = new URL(serverUrl)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
  const findings: Finding[] = []
  const steps = [
    () => checkName(host),
    () => checkTcp(host, port),
    ...(url.protocol === 'https:' ? [() => checkTls(host, port, ca)] : []),
    () => checkHttp(server),
    () => checkSocket(server),
    () => checkKey(server, identity),
  ]
  for (const step of steps) {
    const found = await step()
    findings.push(...found)
    if (found.some(({ level }) => level === 'bad')) break
  }
  return findings
}

async function checkName(host: string): Promise<Finding[]> {
  if (isIP(host)) return []
  try {
    const { address } = await lookup(host)
    return [ok('dns', `${host} is ${address}`)]
  } catch (error) {
    const fix =
      'Correct agent.server_url, or the name servers of this machine (resolvectl status, /etc/resolv.conf).'
    return [bad('dns', `the name ${host} cannot be resolved (${errorCode(error)})`, fix)]
  }
}

function checkTcp(host: string, port: number): Promise<Finding[]> {
  return new Promise((done) => {
    const socket = connect({ host, port, timeout: patienceMs })
    const end = (finding: Finding): void => {
      socket.destroy()
      done([finding])
    }
    socket.once('connect', () => end(ok('tcp', `port ${port} of ${host} takes connections`)))
    socket.once('timeout', () =>
      end(
        bad(
          'tcp',
          `port ${port} of ${host} does not answer`,
          'Open the firewall between this machine and the server.',
        ),
      ),
    )
    socket.once('error', (error) =>
      end(
        bad(
          'tcp',
          `port ${port} of ${host} cannot be reached (${errorCode(error)})`,
          errorCode(error) === 'ECONNREFUSED'
            ? 'Start the server there (systemctl status orchestrator-server), or correct the port in agent.server_url.'
            : 'Check the route and the firewall between this machine and the server.',
        ),
      ),
    )
  })
}

async function checkHttp({ serverUrl, ca }: Server): Promise<Finding[]> {
  const stop = new AbortController()
  try {
    const sentMs = Date.now()
    const answer = await createHttp(
      serverUrl,
      stop.signal,
      ca,
    )({
      ...{ method: 'GET', path: '/api/health', headers: {}, body: Buffer.alloc(0) },
      ...{ timeoutMs: patienceMs, signal: stop.signal },
    })
    const tookMs = Date.now() - sentMs
    const health = parseJson(answer.body.toString('utf8'))
    if (answer.status !== 200 || !isHealth(health))
      return [
        bad(
          'http',
          `what answers at ${serverUrl} is not FleetUpdate (status ${answer.status})`,
          'Correct agent.server_url, or the reverse proxy in front of the server.',
        ),
      ]
    return [
      ok('http', `FleetUpdate ${health.version} answers in ${tookMs} ms`),
      clock(health.time, sentMs + tookMs / 2),
    ]
  } catch (error) {
    return [
      bad(
        'http',
        describeError(error).replace(/\.$/, ''),
        'Look at the server: journalctl -u orchestrator-server',
      ),
    ]
  } finally {
    stop.abort()
  }
}

function clock(time: string, nowMs: number): Finding {
  const off = Math.round((nowMs - Date.parse(time)) / 1000)
  const says = `${Math.abs(off)} s ${off < 0 ? 'behind' : 'ahead of'} the server`
  if (Math.abs(off) <= 2) return ok('clock', 'the same as the server')
  const fix = 'Turn on time synchronisation: timedatectl set-ntp true'
  if (Math.abs(off) <= 30) return ok('clock', says)
  return Math.abs(off) > clockSeconds
    ? warn(
        'clock',
        `${says}; the agent works with the server's time, but log times and update windows are wrong`,
        fix,
      )
    : warn('clock', says, fix)
}

/** An upgrade without a signature: what refuses it must be the server, so that a proxy that swallows WebSockets shows. */
function checkSocket({ serverUrl, ca }: Server): Promise<Finding[]> {
  return new Promise((done) => {
    const url = new URL(`${serverUrl}/api/agent/connect`)
    const headers = {
      ...{ connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
      'sec-websocket-key': Buffer.from('fleetupdate doctor').toString('base64').slice(0, 22).padEnd(24, '='),
    }
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
      headers,
      timeout: patienceMs,
      ...(ca === undefined ? {} : { ca }),
    })
    const blocked = (problem: string): void => {
      request.destroy()
      done([
        warn(
          'websocket',
          `WebSockets do not get through (${problem}); the agent polls instead, which is slower`,
          'Let the proxy in front of the server pass Upgrade and Connection; see deploy/proxy.',
        ),
      ])
    }
    request.once('response', (response) => {
      response.resume()
      if (response.statusCode === 401) done([ok('websocket', 'WebSockets get through')])
      else blocked(`status ${response.statusCode}`)
    })
    request.once('timeout', () => blocked('no answer'))
    request.once('error', (error) => blocked(errorCode(error) || describeError(error)))
    request.end()
  })
}

/** A poll that names another boot is refused, signed, and changes nothing: it proves both keys without disturbing the running agent. */
async function checkKey({ serverUrl, ca }: Server, identity: Identity | undefined): Promise<Finding[]> {
  if (!identity) return []
  const stop = new AbortController()
  try {
    const http = createSignedHttp(
      createHttp(serverUrl, stop.signal, ca),
      { url: serverUrl, clock: createServerClock() },
      identity,
    )
    const answer = await http.post(
      '/api/agent/poll',
      { boot: 'doctor', wait: 0, frames: [] },
      { timeoutMs: patienceMs, signal: stop.signal },
    )
    if (answer.trusted && answer.refusal?.code === 'FLT_AUTH_BOOT')
      return [
        ok(
          'key',
          `the server knows this machine as "${identity.agentId}", and proved that it is the same server`,
        ),
      ]
    const reason = answer.refusal
      ? `${answer.refusal.message} (${answer.refusal.code})`
      : `status ${answer.status}`
    const fix =
      'Reset this agent in the dashboard, then enrol it anew with the new line, or: fleetupdate-agent enroll'
    return [bad('key', `the server does not take this machine's key: ${reason}`, fix)]
  } catch (error) {
    return [bad('key', describeError(error), 'Run this again; if it stays, look at the server.')]
  } finally {
    stop.abort()
  }
}

function isHealth(value: unknown): value is { version: string; time: string } {
  if (typeof value !== 'object' || value === null || !('version' in value) || !('time' in value)) return false
  return typeof value.version === 'string' && typeof value.time === 'string'
}
