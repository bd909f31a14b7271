/** What dpkg runs for the server. `installer`: the text of install-server.sh, which postrm needs when the package's files are gone. */
export function serverScripts(installer) {
  return {
    postinst: script(`if [ "$1" = configure ]; then
  ${onlyBooted('fleetupdate-server')}
  NO_PROMPT=1 sh /usr/lib/fleetupdate-server/tree/install.sh
fi`),
    prerm: remover('fleetupdate-server'),
    postrm: purger(installer, [
      '/opt/orchestrator/.env',
      '/etc/orchestrator-server',
      '/var/lib/orchestrator-server',
    ]),
  }
}

/** What dpkg runs for the agent; it starts once the machine is told which fleet it belongs to. */
export function agentScripts(installer) {
  return {
    postinst: script(`if [ "$1" = configure ]; then
  ${onlyBooted('fleetupdate-agent')}
  if [ -f /var/lib/orchestrator-agent/identity.json ] || [ -n "\${SERVER_URL:-}" ]; then
    NO_PROMPT=1 sh /usr/lib/fleetupdate-agent/tree/install.sh
  else
    echo "To bring this machine into a fleet: sudo SERVER_URL=https://… AGENT_ID=$(hostname) AGENT_PSK=… sh /usr/lib/fleetupdate-agent/tree/install.sh"
  fi
fi`),
    prerm: remover('fleetupdate-agent'),
    postrm: purger(installer, [
      '/etc/orchestrator-agent',
      '/var/lib/orchestrator-agent',
      '/var/lib/orchestrator-helper',
    ]),
  }
}

function script(body) {
  return `#!/bin/sh\nset -e\n${body}\n`
}

function onlyBooted(name) {
  return `if [ ! -d /run/systemd/system ]; then
    echo "This machine was not booted with systemd: ${name} is unpacked, and set up by: sh /usr/lib/${name}/tree/install.sh"
    exit 0
  fi`
}

/** Settings, data and identity stay until a purge. */
function remover(name) {
  return script(`if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  sh /usr/lib/${name}/tree/install.sh --uninstall
fi`)
}

/** The installer itself, asked to leave nothing. */
function purger(installer, paths) {
  const [, ...lines] = installer.split('\n')
  return script(`[ "$1" = purge ] || exit 0
if [ ! -d /run/systemd/system ]; then
  rm -rf ${paths.join(' ')}
  exit 0
fi
set -- --uninstall --purge
${lines.join('\n')}`)
}
