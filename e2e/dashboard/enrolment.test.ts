import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
