import { setTimeout as pause } from 'node:timers/promises'
import { describeAudit, isClean } from '../audit.ts'
import type { Fault } from '../fault.ts'
import { quantile, seconds } from '../figures.ts'
import { createLoad } from '../load.ts'
import { startProxy } from '../proxy.ts'
import { startRig } from '../rig.ts'

/** The network between agents and server breaks in every way while commands run. */
export const network: Fault = {
  name: 'network',
  title: 'partitions, resets and stalls of the network while commands run',
  required: '0 lost or twice, reconnect p95 ≤ 5 s',
  sabotage: {
    what: 'the agent never sends output again',
    file: 'agent',
    edits: [{ find: /(?<!\.)resend\(\)\{/, replace: 'resend(){return;' }],
  },
  async run(lab) {
    const rig = await startRig(lab)
    const port = Number(new URL(rig.url).port)
    const ids = ['vm-1', 'vm-2', 'vm-3'].slice(0, lab.scale({ smoke: 2, full: 3 }))
    const proxies = await Promise.all(ids.map((_, i) => startProxy(port, i * 15)))
    for (const proxy of proxies) lab.onEnd(() => proxy.close())
    ids.forEach((id, i) => void rig.startAgent(id, { url: proxies[i]?.url ?? rig.url }))
    await rig.online(ids)
    const load = createLoad(lab, rig)
    const reconnects: number[] = []
    const rounds = lab.scale({ smoke: 5, full: 40 })
    const breakOne = async (i: number): Promise<void> => {
      const proxy = proxies[i]
      const id = ids[i]
      if (!proxy || id === undefined) return
      for (let round = 0; round < rounds; round++) {
        await load.submit(id)
        await pause(lab.random.between(0, 400))
        const kind = lab.random.pick(['cut', 'reset', 'stall'] as const)
        if (kind === 'stall') {
          // Nothing is lost by a short stall: TCP holds it, and the session goes on.
          proxy.mode = 'stall'
          await pause(lab.random.between(100, 1500))
          proxy.mode = 'open'
          continue
        }
        const upgraded = new Promise<void>((resolve) => {
          proxy.onUpgraded = resolve
        })
        if (kind === 'reset') proxy.reset()
        else {
          proxy.mode = 'cut'
          await pause(lab.random.between(100, 1500))
          proxy.mode = 'open'
        }
        const healedMs = performance.now()
        await upgraded
        reconnects.push(performance.now() - healedMs)
      }
    }
    await Promise.all(ids.map((_, i) => breakOne(i)))
    const audit = await load.audit()
    const p95 = quantile(reconnects, 0.95)
    // Of fewer than twenty values the 95th percentile is just the worst: there the median has to do.
    const judged = reconnects.length < 20 ? quantile(reconnects, 0.5) : p95
    return {
      passed: isClean(audit) && judged <= 5000,
      reached: `${describeAudit(audit)}; ${reconnects.length} reconnects, p50 ${seconds(quantile(reconnects, 0.5))}, p95 ${seconds(p95)}, slowest ${seconds(Math.max(...reconnects))}`,
    }
  },
}

/** A proxy on the way lets no WebSocket through. */
export const blockedWebSocket: Fault = {
  name: 'blocked-websocket',
  title: 'WebSocket is blocked: polls take over, and are given up again',
  required: 'long-poll takes over ≤ 15 s, WebSocket back ≤ 60 s after the block is gone, 0 lost or twice',
  sabotage: {
    what: 'the agent never tries polls',
    file: 'agent',
    edits: [{ find: /await openPoll\(/, replace: 'await (() => Promise.reject(new Error("off")))(' }],
  },
  async run(lab) {
    const rig = await startRig(lab)
    const proxy = await startProxy(Number(new URL(rig.url).port))
    lab.onEnd(() => proxy.close())
    proxy.mode = 'no-upgrade'
    const agent = rig.startAgent('vm-1', { url: proxy.url })
    const refused = new Promise<void>((resolve) => {
      proxy.onRefused = resolve
    })
    await refused
    const beganMs = performance.now()
    await rig.online(['vm-1'])
    const pollMs = performance.now() - beganMs
    const load = createLoad(lab, rig)
    for (let i = 0; i < lab.scale({ smoke: 3, full: 30 }); i++) await load.submit('vm-1')
    const audit = await load.audit()
    let backMs = 0
    if (lab.size === 'full') {
      const upgraded = new Promise<void>((resolve) => {
        proxy.onUpgraded = resolve
      })
      proxy.mode = 'open'
      const healedMs = performance.now()
      await Promise.race([upgraded, pause(90_000)])
      backMs = performance.now() - healedMs
      await load.submit('vm-1')
    }
    const after = await load.audit()
    if (!isClean(after)) lab.note(agent.output())
    const back = lab.size === 'full' ? `, WebSocket back after ${seconds(backMs)}` : ''
    return {
      passed: isClean(audit) && isClean(after) && pollMs <= 15_000 && backMs <= 60_000,
      reached: `polls took over ${seconds(pollMs)} after the first refusal${back}; ${describeAudit(after)}`,
    }
  },
}

/** A connection stands still and nobody is told, as behind a firewall that forgot it. */
export const frozenWebSocket: Fault = {
  name: 'frozen-websocket',
  title: 'the WebSocket stands still without an end: nothing comes through and nobody is told',
  required: 'the agent is back ≤ 75 s, what was submitted meanwhile runs, 0 lost or twice',
  sizes: ['full'],
  sabotage: {
    what: 'silence is no end of a session, for neither side',
    file: 'agent',
    edits: [{ find: /silenceMs:6e4/, replace: 'silenceMs:6e7' }],
  },
  async run(lab) {
    const rig = await startRig(lab)
    const proxy = await startProxy(Number(new URL(rig.url).port))
    lab.onEnd(() => proxy.close())
    rig.startAgent('vm-1', { url: proxy.url })
    await rig.online(['vm-1'])
    const load = createLoad(lab, rig)
    for (let i = 0; i < 5; i++) await load.submit('vm-1')
    await pause(lab.random.between(0, 300))
    const upgraded = new Promise<void>((resolve) => {
      proxy.onUpgraded = resolve
    })
    proxy.freeze()
    const frozenMs = performance.now()
    for (let i = 0; i < 10; i++) await load.submit('vm-1')
    await Promise.race([upgraded, pause(lab.scale({ smoke: 80_000, full: 120_000 }))])
    const backMs = performance.now() - frozenMs
    const audit = await load.audit()
    return {
      passed: isClean(audit) && backMs <= 75_000,
      reached: `back after ${seconds(backMs)}; ${describeAudit(audit)}`,
    }
  },
}
