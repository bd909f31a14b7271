import { aptOptions as options } from '../../systemd-host/ask-helper.ts'

/** The agent's state folder, and an attempt in it. */
export const state = '/var/lib/orchestrator-agent'
export const attempt = '01890a5d-ac96-774b-bcce-b302099a8057.1'

const folder = `${state}/attempts/${attempt}`
const work = `${folder}/work`
const repair = ['--force-confdef', '--force-confold', '--configure', '-a']
const base = {
  ...{ verb: 'run', plugin: 'apt-upgrade', privilege: 'repair-dpkg', args: repair as unknown },
  ...{ out: `${folder}/output.log` as unknown, err: `${folder}/output.log` as unknown },
}
/** One line of ASCII, so that nothing is lost on the way. */
const line = (value: unknown): string =>
  `${JSON.stringify(value).replace(/[^ -~]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`
const run = (changes: object): string => line({ ...base, ...changes })
const install = (...names: unknown[]): string =>
  run({ privilege: 'upgrade-selected', args: [...options, '--only-upgrade', 'install', '--', ...names] })
const unit = (...args: unknown[]): string => run({ plugin: 'services', privilege: 'restart-unit', args })
const into = (out: unknown): string => run({ out })

/** What an honest agent asks: it must be answered, or the attacks show nothing. */
export const legitimate = run({})

/** Laid by the agent's user in its own folder before it asks. */
export const traps = `cd ${folder} && ln -s /root/canary link && ln -s /root work/folder && mkfifo pipe && ln -s /etc ../01890a5d-ac96-774b-bcce-b302099a8057.2
ln -s /etc/shadow ../../captures/shadow && ln output.log twin && cp output.log single && rm twin`

/** Tried by the agent's user against what decides. */
export const tampering: readonly string[] = [
  'rm /etc/orchestrator-agent/policy.yaml',
  'echo "mode: full" >/etc/orchestrator-agent/policy.yaml',
  'mv /etc/orchestrator-agent/policy.yaml /tmp/policy',
  'mv /etc/orchestrator-agent /tmp/etc',
  'ln -sf /dev/null /etc/orchestrator-agent/policy.yaml',
  'chmod 777 /etc/orchestrator-agent',
  'touch /etc/orchestrator-agent/trust.yaml',
  'echo >/opt/orchestrator/agent/current/root-helper',
  'mv /opt/orchestrator/agent/current /opt/orchestrator/agent/old',
  'mkdir /opt/orchestrator/agent/current/executors/evil',
  'touch /run/orchestrator-helper/begun/x || mkdir -p /run/orchestrator-helper/begun',
  'rm /run/orchestrator-helper/helper.sock',
  'chown orchestrator /run/orchestrator-helper/helper.sock',
]

/** Each is one connection of the agent's user. None may start anything. */
export const hostileRequests: Readonly<Record<string, string>> = {
  'an empty line': '\n',
  'half a brace': '{\n',
  null: 'null\n',
  'a list': '[]\n',
  'a text': '"run"\n',
  'a number': '1\n',
  NUL: '\0\0\0\n',
  'bytes that are no UTF-8': '\xff\xfe\x80\n',
  'a byte order mark': `\xef\xbb\xbf${legitimate}`,
  'a line of 5 MB': run({ args: ['a'.repeat(5_000_000)] }),
  '5 MB without an end': 'a'.repeat(5_000_000),
  'a million brackets': `${'['.repeat(1_000_000)}\n`,
  'a request in two lines': legitimate.replace(',', ',\n'),
  'a request after another': `{}\n${legitimate}`,
  'orders before the request': `kill\nterm\n${legitimate}`,
  'an inherited verb': '{"__proto__":{"verb":"run"}}\n',
  'an unknown verb': line({ ...base, verb: 'shell' }),
  'a verb in capitals': line({ ...base, verb: 'RUN' }),
  'a verb in a list': line({ ...base, verb: ['run'] }),
  'no verb': line({ ...base, verb: undefined }),
  'a verb with a NUL': line({ ...base, verb: 'run\0' }),
  'a program of its own': line({ verb: 'run', program: '/bin/sh', args: ['-c', 'touch /root/owned'] }),
  'a plugin that climbs': run({ plugin: '../executors/apt-upgrade' }),
  'a plugin that is a path': run({ plugin: '/etc' }),
  'a plugin with a NUL': run({ plugin: 'apt-upgrade\0' }),
  'a plugin in a list': run({ plugin: ['apt-upgrade'] }),
  'a plugin of 1 MB': run({ plugin: 'a'.repeat(1_000_000) }),
  'a plugin called constructor': run({ plugin: 'constructor' }),
  'a plugin in the state folder': run({ plugin: '../../../../../var/lib/orchestrator-agent/evil' }),
  'a privilege nobody declared': run({ privilege: 'root' }),
  'an inherited privilege': run({ privilege: '__proto__' }),
  'a privilege in a list': run({ privilege: ['repair-dpkg'] }),
  'a declaration in the request': run({ privilege: { id: 'x', program: '/bin/sh', args: [] } }),
  'arguments as a text': run({ args: repair.join(' ') }),
  'arguments that are no text': run({ args: [1, {}, []] }),
  'an argument more': run({ args: [...repair, '--root=/tmp'] }),
  'an argument less': run({ args: repair.slice(0, -1) }),
  'an argument before': run({ args: ['--pre-invoke=touch /root/owned', ...repair] }),
  'arguments like a list': run({
    args: { length: 4, 0: repair[0], 1: repair[1], 2: repair[2], 3: repair[3] },
  }),
  'an option as a package': install('-oDPkg::Pre-Invoke::=touch /root/owned'),
  'an option in two': install('-o', 'APT::Update::Pre-Invoke::=touch /root/owned'),
  'a file as a package': install('./evil.deb'),
  'a path as a package': install('/tmp/evil.deb'),
  'a version': install('dash=0.1'),
  'a release': install('dash/sid'),
  'a removal': install('dash-'),
  'an empty name': install(''),
  'a name with a line break': install('dash\n-oDPkg::Pre-Invoke::=id'),
  'a name with a NUL': install('dash\0'),
  'a name in another script': install('dаsh'),
  '3,000 names': install(...Array.from({ length: 3000 }, (_, index) => `package${index}`)),
  'marks with an option': run({ privilege: 'restore-marks', args: ['auto', '-o', 'Dir=/tmp', '--', 'dash'] }),
  'another status descriptor': run({
    privilege: 'upgrade-all',
    args: [...options.slice(0, -1), 'APT::Status-Fd=1', '--with-new-pkgs', 'upgrade'],
  }),
  'a unit that is an option': unit('restart', '--', '--host=root@evil'),
  'a unit with a path': unit('restart', '--', '/tmp/evil.service'),
  'two units': unit('restart', '--', 'dbus', 'cron'),
  'another verb of systemctl': unit('link', '--', 'evil.service'),
  'a reboot at once': run({
    plugin: 'reboot',
    privilege: 'schedule',
    args: ['--reboot', 'now', 'FleetUpdate reboots this host'],
  }),
  'output into a link': into(`${folder}/link`),
  'output through a folder that is a link': into(`${work}/folder/canary`),
  'output through an attempt that is a link': into(
    `${state}/attempts/01890a5d-ac96-774b-bcce-b302099a8057.2/shadow`,
  ),
  'output into a pipe': into(`${folder}/pipe`),
  'output into the work folder itself': into(work),
  'output that climbs': into(`${folder}/../../../../../etc/shadow`),
  'output elsewhere': into('/etc/shadow'),
  'output into a descriptor': into('/proc/self/fd/1'),
  'output into a captured link': into(`${state}/captures/shadow`),
  'output with a NUL': into(`${folder}/output.log\0`),
  'output with a line break': into(`${folder}/output.log\n`),
  'output beside the state folder': into(`${state}-evil/captures/out`),
  'output that is no text': into(1),
  'output in a list': into([`${folder}/output.log`]),
  'no output': into(undefined),
  'errors into a link': run({ err: `${folder}/link` }),
  'progress into a link': run({ status: `${folder}/link` }),
  'a start that climbs': line({ verb: 'start', commandId: '../../../../tmp/evil', epoch: 1 }),
  'a start with options': line({ verb: 'start', commandId: attempt.slice(0, -2), epoch: '1 --uid=0' }),
  'a start of epoch 0': line({ verb: 'start', commandId: attempt.slice(0, -2), epoch: 0 }),
  'a start of half an epoch': line({ verb: 'start', commandId: attempt.slice(0, -2), epoch: 1.5 }),
  'a start in capitals': line({ verb: 'start', commandId: attempt.slice(0, -2).toUpperCase(), epoch: 1 }),
  'a start without an id': line({ verb: 'start', epoch: 1 }),
  'a probe of 5,000': line({ verb: 'probe', privileges: Array.from({ length: 5000 }, () => base) }),
  'a probe of nothing': line({ verb: 'probe', privileges: {} }),
}

/** Exchanges the attempt's folder for a link to /root and back while it is asked to write there. */
export function raceScript(rounds: number): string {
  return `cd ${state}/attempts && node -e '${race.replace('ROUNDS', String(rounds))}'`
}

const race = `
const { connect } = require("node:net"), fs = require("node:fs")
const name = "${attempt}", request = ${JSON.stringify(run({ out: `${folder}/canary`, err: `${folder}/canary` }))}
fs.writeFileSync(name + "/canary", "")
fs.symlinkSync("/root", "trap")
const spin = new (require("node:worker_threads").Worker)(\`
  const fs = require("node:fs")
  for (;;) { try { fs.renameSync("\${name}", "kept"); fs.renameSync("trap", "\${name}"); fs.renameSync("\${name}", "trap"); fs.renameSync("kept", "\${name}") } catch {} }\`, { eval: true })
const ask = () => new Promise((resolve) => connect("/run/orchestrator-helper/helper.sock").on("error", resolve).on("close", resolve).on("data", () => {}).write(request))
;(async () => { for (let i = 0; i < ROUNDS; i++) await ask(); process.exit(0) })()
`
