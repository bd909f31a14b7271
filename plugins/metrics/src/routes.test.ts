import { startServerPart, type TestServerPart } from '@fleetupdate/sdk/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { metrics } from './contract.ts'
import { createFleetFigures } from './fleet-figures.ts'
import { createLatestSamples } from './latest-samples.ts'
import { prometheusText } from './prometheus.ts'
import plugin from './server.ts'
import { aSample } from './testing/a-sample.ts'

let part: TestServerPart<typeof metrics>
const counts: Record<string, number> = {}
let successRate: number | null

beforeEach(async () => {
  for (const key of Object.keys(counts)) delete counts[key]
  Object.assign(counts, { all: 3, online: 2, offline: 1, outdated: 1, 'os-updates.outdated': 1 })
  successRate = 0.97
  part = await startServerPart(plugin, {
    agents: {
      get: async (id: string) => (id.startsWith('vm-') ? ({ id } as never) : undefined),
      list: async () => ({ items: [], nextCursor: null, counts: { ...counts } }),
    },
    commands: { successRate: () => successRate } as never,
    server: { version: '1.2.3', startedAt: new Date(Date.now() - 5_500).toISOString() },
  })
})
afterEach(() => part.stop())

const report = (agentId: string, sample = aSample()): Promise<void> => part.report(agentId, { sample })

const get = async (url: string) => {
  const answer = await part.http.inject({ url })
  return { status: answer.statusCode, text: answer.body, json: () => answer.json(), headers: answer.headers }
}

describe('GET agents/:id/series', () => {
  test('answers what the agent reported', async () => {
    await report('vm-01', aSample({ cpu: 42 }))
    const { status, json } = await get('/api/plugins/metrics/agents/vm-01/series?metric=cpu')
    expect(status).toBe(200)
    expect(json()).toMatchObject({
      metric: 'cpu',
      unit: 'percent',
      step: 60,
      points: [[expect.any(Number), 42, 42, 42]],
    })
  })

  test.each([
    ['/api/plugins/metrics/agents/vm-01/series', 400, 'FLT_METRICS_UNKNOWN'],
    ['/api/plugins/metrics/agents/vm-01/series?metric=toString', 400, 'FLT_METRICS_UNKNOWN'],
    ['/api/plugins/metrics/agents/vm-01/series?metric=cpu&metric=load', 400, 'FLT_METRICS_UNKNOWN'],
    ['/api/plugins/metrics/agents/vm-01/series?metric=cpu&step=x', 400, 'FLT_METRICS_STEP'],
    ['/api/plugins/metrics/agents/vm-01/series?metric=cpu&from=x', 400, 'FLT_METRICS_TIME'],
    ['/api/plugins/metrics/agents/none/series?metric=cpu', 404, 'FLT_AGENT_UNKNOWN'],
    ['/api/plugins/metrics/sparklines', 400, 'FLT_METRICS_AGENTS'],
    [
      `/api/plugins/metrics/sparklines?agents=${Array.from({ length: 101 }, (_, i) => i).join(',')}`,
      400,
      'FLT_METRICS_AGENTS',
    ],
    ['/api/plugins/metrics/sparklines?agents=vm-01&metric=no', 400, 'FLT_METRICS_UNKNOWN'],
  ])('%s is refused', async (url, status, code) => {
    const answer = await get(url)
    expect([answer.status, answer.json().code]).toEqual([status, code])
  })
})

describe('GET sparklines', () => {
  test('answers many agents at once and leaves out those without values', async () => {
    await report('vm-01', aSample({ cpu: 10 }))
    await report('vm-02', aSample({ cpu: null }))
    await report('vm-03', aSample({ cpu: 30 }))
    const { series, step } = (
      await get('/api/plugins/metrics/sparklines?agents=vm-01,vm-02,vm-03,none&metric=cpu')
    ).json()
    expect(step).toBe(120)
    expect(series['vm-01']).toEqual([[expect.any(Number), 10]])
    expect(series['vm-03']).toEqual([[expect.any(Number), 30]])
    expect(series['vm-02'] ?? []).toEqual([])
    expect(series.none).toBeUndefined()
  })
})

describe('GET /api/metrics', () => {
  test('counts the fleet', async () => {
    expect((await get('/api/metrics')).json()).toEqual({
      agentsTotal: 3,
      agentsOnline: 2,
      uptimeSeconds: 5,
      commandSuccessRateLast100: 0.97,
      appDrift: null,
    })
  })

  test('follows the presence of agents at once', async () => {
    await get('/api/metrics')
    Object.assign(counts, { all: 4, online: 3 })
    part.emit('agent.enrolled', { agentId: 'vm-04' })
    expect((await get('/api/metrics')).json()).toMatchObject({ agentsTotal: 4, agentsOnline: 3 })
  })

  test('counts once for all who ask within a second, and again after a failure', async () => {
    let asked = 0
    let clock = 0
    const figures = createFleetFigures(
      {
        ...part.context,
        agents: {
          ...part.context.agents,
          list: async () => {
            asked += 1
            if (asked === 1) throw new Error('busy')
            return { items: [], nextCursor: null, counts }
          },
        },
      },
      () => clock,
    )
    await expect(figures.read()).rejects.toThrow('busy')
    await Promise.all([figures.read(), figures.read(), figures.read()])
    expect(asked).toBe(2)
    clock = 1000
    await figures.read()
    expect(asked).toBe(3)
  })
})

describe('GET /metrics', () => {
  test('speaks the text format', async () => {
    await report('vm-01', aSample({ cpu: 42 }))
    successRate = null
    const { text, headers } = await get('/metrics')
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
    for (const line of [
      '# TYPE fleetupdate_up gauge',
      'fleetupdate_up 1',
      'fleetupdate_build_info{version="1.2.3"} 1',
      'fleetupdate_agents{status="online"} 2',
      'fleetupdate_agents{status="offline"} 1',
      'fleetupdate_agents_by_facet{facet="os-updates.outdated"} 1',
      'fleetupdate_agent_cpu_percent{agent="vm-01"} 42',
      'fleetupdate_agent_disk_percent{agent="vm-01"} 90',
    ])
      expect(text.split('\n')).toContain(line)
    expect(text).not.toContain('success_ratio')
    expect(text.endsWith('\n')).toBe(true)
  })

  test('escapes what labels and help may not hold', () => {
    const family = { name: 'x', help: 'a\nb\\', type: 'gauge' as const }
    expect(prometheusText([{ ...family, samples: [{ labels: { a: 'q"b\\s\nn\r\nr' }, value: 1 }] }])).toBe(
      '# HELP x a\\nb\\\\\n# TYPE x gauge\nx{a="q\\"b\\\\s\\nn\\nr"} 1\n',
    )
    expect(prometheusText([{ ...family, samples: [{ value: null }] }])).toBe('')
  })

  test('shows at most so many agents one by one, and none that fell silent', () => {
    let clock = 0
    const latest = createLatestSamples(() => clock)
    latest.set('vm-old', aSample())
    clock = 6 * 60_000
    for (let i = 0; i < 1200; i += 1) latest.set(`vm-${String(i).padStart(4, '0')}`, aSample())
    const { items, omitted } = latest.list(1000)
    expect([items.length, omitted, items[0]?.agentId]).toEqual([1000, 200, 'vm-0000'])
  })
})

describe('a removed agent', () => {
  test('loses its series and its gauges', async () => {
    await report('vm-01')
    part.emit('agent.removed', { agentId: 'vm-01' })
    await expect
      .poll(async () => (await get('/api/plugins/metrics/agents/vm-01/series?metric=cpu')).json().points)
      .toEqual([])
    expect((await get('/metrics')).text).not.toContain('vm-01')
  })
})
