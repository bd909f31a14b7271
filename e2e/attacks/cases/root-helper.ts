import { aptRootProblem, createAptRoot } from '../../apt-root/create-apt-root.ts'
import { askHelper } from '../../systemd-host/ask-helper.ts'
import { type BootedHost, bootProblem, bootRoot } from '../../systemd-host/boot-root.ts'
import { installAsUser } from '../../systemd-host/install-as-user.ts'
import type { Attack } from '../attack.ts'
import {
  attempt,
  hostileRequests,
  legitimate,
  raceScript,
  state,
  tampering,
  traps,
} from './root-helper-inputs.ts'

/** Whoever took the agent's user over, at the socket of the root helper of a real host. */
export const rootHelperAttack: Attack = {
  name: 'root-helper',
  title: "hostile inputs to the root helper, by the agent's user and by others",
  required: '60 or more, 0 root',
  async run(_target, size) {
    const problem = aptRootProblem() ?? bootProblem()
    if (problem !== undefined) return { passed: true, reached: `not tried here: ${problem}` }
    const root = await createAptRoot({ flavour: 'systemd' })
    let host: BootedHost | undefined
    try {
      await installAsUser(root, { id: 'attacked', url: 'http://127.0.0.1:9' })
      host = await bootRoot(root)
      return await attack(host, size === 'full' ? 60 : 10)
    } finally {
      await host?.powerOff()
      await root.dispose()
    }
  },
}

async function attack(host: BootedHost, races: number) {
  const asAgent = (script: string): number =>
    host.run(['runuser', '-u', 'orchestrator', '--', 'sh', '-c', script]).exitCode
  const must = (script: string): void => {
    const { exitCode, stderr } = host.run(['sh', '-c', script])
    if (exitCode !== 0) throw new Error(`${script}: ${stderr}`)
  }
  must('systemctl start orchestrator-helper.socket')
  must('useradd --system --gid orchestrator mallory')
  must(
    `install -d -o orchestrator -g orchestrator -m 0700 ${state}/attempts ${state}/attempts/${attempt} ${state}/attempts/${attempt}/work ${state}/captures`,
  )
  must(`install -o orchestrator -g orchestrator -m 0600 /dev/null ${state}/attempts/${attempt}/output.log`)
  must(`echo untouched >/root/canary && install -o orchestrator -m 0600 /dev/null ${state}/captures/out`)
  if (asAgent(traps) !== 0) throw new Error('The traps could not be laid.')
  const [control = ''] = askHelper(host, 'orchestrator', [legitimate])
  if (!control.includes('"exitCode":0')) throw new Error(`An honest request was refused: ${control}`)
  must('sync; touch /marker')

  const found: string[] = []
  let inputs = 0
  const judge = (name: string, answer: string): void => {
    inputs++
    if (/"pid":|"exitCode":0/.test(answer)) found.push(`${name}: ${answer.slice(0, 200)}`)
  }
  const names = Object.keys(hostileRequests)
  const answers = askHelper(host, 'orchestrator', Object.values(hostileRequests))
  for (const [index, name] of names.entries()) judge(name, answers[index] ?? '')
  for (const user of ['nobody', 'mallory', 'root'])
    judge(`asked by ${user}`, askHelper(host, user, [legitimate])[0] ?? '')

  must("echo 'mode: observe' >/etc/orchestrator-agent/policy.yaml")
  for (const script of tampering) {
    inputs++
    if (asAgent(script) === 0) found.push(`done by the agent's user: ${script}`)
    judge(`after ${script}`, askHelper(host, 'orchestrator', [legitimate])[0] ?? '')
  }
  must('rm /etc/orchestrator-agent/policy.yaml; touch -r /marker /etc/orchestrator-agent')
  inputs += races
  asAgent(raceScript(races))

  const changed = host
    .run([
      'sh',
      '-c',
      'find /etc /root /usr /opt /home -xdev -newer /marker ! -type d; find / -xdev -perm -4000 -newer /marker; cat /root/canary',
    ])
    .stdout.trim()
  if (changed !== 'untouched') found.push(`changed as root: ${changed}`)
  const shown = found.length === 0 ? '' : ` (${found.join('; ').slice(0, 1500)})`
  return {
    passed: found.length === 0 && inputs >= 60,
    reached: `${inputs} inputs, ${found.length} root${shown}`,
  }
}
