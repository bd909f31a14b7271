import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { enrol, WireAgent } from '@fleetupdate/core/testing'
import { startTestFleet, type TestFleet } from '@fleetupdate/sdk/testing'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtIns, repository } from '../repository.ts'
import { accessibilityProblems } from './axe.ts'
import { browserProblem, logIn, startBrowser, visit } from './browser.ts'

const problem = browserProblem()
if (problem !== undefined) console.warn(`Skipped: enrolment in the dashboard. ${problem}`)

describe.skipIf(problem !== undefined)('enrolment', () => {
  let fleet: TestFleet
  let browser: Browser
  const agents: ChildProcess[] = []
  const folder = mkdtempSync(join(tmpdir(), 'enrolment-'))

  beforeAll(async () => {
    fleet = await startTestFleet({ ...builtIns, agents: [] })
    browser = await startBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await Promise.all(
      agents.map(async (agent) => {
        if (agent.exitCode !== null) return
        agent.kill('SIGTERM')
        await once(agent, 'exit')
      }),
    )
    await fleet?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  /** The real agent, with what the line of the dashboard gives it. */
  function startAgent(id: string, line: string): void {
    const [psk = ''] = /fle_[0-9a-f]+_[0-9a-f]+/.exec(line) ?? []
    expect(psk).not.toBe('')
    const settings = { id, server_url: fleet.url, psk, state_dir: join(folder, id), poll_interval: 5 }
    const lines = Object.entries(settings).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`)
    const config = join(folder, `${id}.yaml`)
    writeFileSync(config, ['agent:', ...lines, ''].join('\n'), { mode: 0o600 })
    agents.push(
      spawn(process.execPath, [join(repository, 'agent/dist/main.js')], {
        env: { PATH: process.env.PATH ?? '', AGENT_CONFIG: config, NO_PROMPT: '1' },
        stdio: 'ignore',
      }),
    )
  }
  async function stateOf(agentId: string): Promise<string | undefined> {
    const { body } = await fleet.client.request<{ items: { agentId: string; state: string }[] }>(
      'GET',
      '/api/enrolment/requests',
    )
    return body.items.find((item) => item.agentId === agentId)?.state
  }
  async function open(): Promise<{ page: Page; close(): Promise<void> }> {
    const visitor = await visit(browser, fleet)
    await logIn(visitor.page)
    await visitor.page.goto(`${fleet.url}/enrolment`)
    await visitor.page.waitForSelector('text=SERVER_PSK')
    return visitor
  }

  test('an invitation is made, a real agent enrols by it, and the page that waited says so', async () => {
    const { page, close } = await open()
    await page.getByText('One machine with this id').click()
    await page.click('button:has-text("Make the line")')
    await page.waitForSelector('.problem:has-text("Letters, digits")')
    await page.getByLabel('Id of the agent').fill('vm-new')
    await page.click('button:has-text("Make the line")')
    await page.waitForSelector('text=Waiting for the machine')
    expect(await accessibilityProblems(page)).toEqual([])
    await page.waitForSelector('tr:has-text("vm-new") >> text=0 of 1')
    startAgent('vm-new', await page.innerText('.made .code code'))
    await page.waitForSelector('text=vm-new is online')
    await page.waitForSelector('tr:has-text("vm-new")', { state: 'detached' })
    await page.click('button:has-text("Show past ones")')
    await page.waitForSelector('tr:has-text("vm-new") >> text=Used up')
    await page.click('text=Open its page')
    await page.waitForSelector('h1:has-text("vm-new")')
    await close()
  })

  test('a machine that must be approved waits on the page, is let in by one click, and another is refused', async () => {
    const { page, close } = await open()
    await page.getByText('Ask me before it is let in').click()
    await page.getByText('Several machines').click()
    await page.getByLabel('How many').fill('2')
    await page.click('button:has-text("Make the line")')
    const line = await page.innerText('.made .code code')
    startAgent('vm-asks', line)
    await page.waitForSelector('text=1 machine waits for your approval')
    expect(await accessibilityProblems(page)).toEqual([])
    await page.click('button[aria-label="Approve vm-asks"]')
    await fleet.client.until('the approval', async () => (await stateOf('vm-asks')) === 'approved')
    startAgent('vm-refused', line)
    await page.click('button[aria-label="Refuse vm-refused"]')
    await page.waitForSelector('text=Refuse vm-refused?')
    await page.locator('dialog button.danger').click()
    await page.waitForSelector('text=waits for your approval', { state: 'detached' })
    expect(await stateOf('vm-refused')).toBe('refused')
    expect(await fleet.client.agent('vm-refused')).toBeUndefined()
    await close()
  })

  test('a copied identity is shown in quarantine with what to do, and started over with one line', async () => {
    const identity = await enrol(fleet.url, 'vm-copied', { id: 'psk', text: 'a-secret-for-tests-0123456789' })
    const wire = (ticket: string): WireAgent => {
      const agent = new WireAgent(fleet.url, identity)
      agent.record = false
      agent.ticket = ticket
      return agent
    }
    const original = wire('')
    await original.join()
    const old = await fleet.client.until('a ticket', async () => original.ticket)
    const copy = wire(old)
    await copy.join()
    await fleet.client.until('the next ticket', async () => copy.ticket !== old)
    await wire(old).connect()
    const view = await fleet.client.until('the quarantine', async () => {
      const agent = await fleet.client.agent('vm-copied')
      return agent?.quarantine && agent
    })
    const { page, close } = await open()
    await page.goto(`${fleet.url}/agents/vm-copied`)
    await page.waitForSelector('text=two machines seem to use this identity')
    expect(await page.innerText('main')).toContain(view.quarantine?.reason)
    expect(await accessibilityProblems(page)).toEqual([])
    await page.goto(`${fleet.url}/?q=vm-copied`)
    await page.waitForSelector('.body .row:has-text("Quarantine")')
    await page.goto(`${fleet.url}/agents/vm-copied`)
    await page.click('button:has-text("Start over with one machine")')
    await page.locator('dialog button.danger').click()
    await page.waitForSelector('dialog >> text=vm-copied can enrol again')
    expect(await page.innerText('dialog .code code')).toContain('fle_')
    await close()
  })

  test('SERVER_PSK is turned off and on like any invitation', async () => {
    const { page, close } = await open()
    await page.click('button:has-text("Turn off")')
    await page.locator('dialog button.danger').click()
    await page.waitForSelector('tr:has-text("SERVER_PSK") >> text=Revoked')
    await page.click('button:has-text("Turn on")')
    await page.waitForSelector('tr:has-text("SERVER_PSK") >> text=never')
    await close()
  })

  test('the id of an agent is not invited twice, and a revoked invitation lets nobody in', async () => {
    const { page, close } = await open()
    await page.getByText('One machine with this id').click()
    await page.getByLabel('Id of the agent').fill('vm-new')
    await page.click('button:has-text("Make the line")')
    await page.waitForSelector('.problem:has-text("is or was enrolled")')
    await page.getByText('Several machines').click()
    await page.getByLabel('How many').fill('3')
    await page.getByLabel('Note').fill('for the web')
    await page.click('button:has-text("Make the line")')
    await page.waitForSelector('tr:has-text("for the web") >> text=0 of 3')
    await page.click('tr:has-text("for the web") button')
    await page.waitForSelector('text=Revoke “for the web”')
    await page.locator('dialog button.danger').click()
    await page.waitForSelector('tr:has-text("for the web")', { state: 'detached' })
    await close()
  })
})
