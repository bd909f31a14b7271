# ---- the server ---------------------------------------------------------------------------------------------------------------

PRODUCT=server
ENV_FILE=/opt/orchestrator/.env
DATA=/var/lib/orchestrator-server
UNDONE="The server was not installed or updated; what ran before runs again."

usage() {
  cat <<'TEXT'
Installs or updates the FleetUpdate server on this machine.

  sudo sh install-server.sh [--archive FILE]
  sudo sh install-server.sh --uninstall [--purge]

It takes the server from --archive, from REPO_URL_OVERRIDE (a git repository, at REPO_REF), from the unpacked archive it lies in, or from the
checkout it lies in. Environment: UI_USER, UI_PASSWORD, SERVER_PSK, JWT_SECRET, PUBLIC_URL, HOST, PORT (for a new /opt/orchestrator/.env),
NO_PROMPT=1, VERBOSE=1.

  --archive FILE   fleetupdate-server-….tar.gz; SHA256SUMS beside it is checked where it is there
  --uninstall      remove the server; its settings, data and master key stay
  --purge          remove these too
TEXT
}

main() {
  set -eu
  export LC_ALL=C.UTF-8
  ARCHIVE='' REMOVE='' PURGE='' SHOW_PASSWORD=''
  while [ $# -gt 0 ]; do
    case "$1" in
      --archive)
        [ $# -ge 2 ] || die "--archive needs a file."
        ARCHIVE=$2
        shift
        ;;
      --uninstall) REMOVE=1 ;;
      --purge) PURGE=1 ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) die "Unknown option $1. See: install-server.sh --help" ;;
    esac
    shift
  done
  begin
  if [ -n "$REMOVE$PURGE" ]; then
    uninstall
    exit 0
  fi
  need tar=tar gzip=gzip sha256sum=coreutils
  room /opt 500
  room /var/lib 200
  room /var/tmp 250
  HERE=$(own_folder)
  FROM=$(current_of server)
  obtain
  settle_settings
  port_is_free
  install_version
  configure
  start
  undo_nothing
  forget_versions server "$FROM"
  tell
}

# → TREE, VERSION, NODE
obtain() {
  if [ -n "$ARCHIVE" ]; then
    [ -f "$ARCHIVE" ] || die "There is no archive $ARCHIVE."
    sums=$(dirname "$ARCHIVE")/SHA256SUMS
    if [ -f "$sums" ]; then
      (cd "$(dirname "$ARCHIVE")" && grep -F "  $(basename "$ARCHIVE")" SHA256SUMS | sha256sum -c --status) ||
        die "$ARCHIVE does not fit its SHA256SUMS. Fetch it again."
    fi
    mkdir "$STAGE/unpacked"
    tar -xzf "$ARCHIVE" -C "$STAGE/unpacked" --no-same-owner --strip-components=1 || die "$ARCHIVE could not be unpacked. Is it whole, and is the disk not full?"
    TREE=$STAGE/unpacked
  elif [ -n "${REPO_URL_OVERRIDE:-}" ]; then
    clone
  elif [ -n "$HERE" ] && [ -f "$HERE/VERSION" ] && [ -f "$HERE/main.js" ]; then
    TREE=$HERE
  elif [ -n "$HERE" ] && [ -f "$HERE/../deploy/install-server.sh" ]; then
    build_checkout "$(dirname "$HERE")"
  else
    die "This script came without a server. Run it from an unpacked release or a checkout, or name one with --archive or REPO_URL_OVERRIDE."
  fi
  [ -f "$TREE/main.js" ] && [ -f "$TREE/VERSION" ] && [ -d "$TREE/dashboard" ] || die "$TREE holds no FleetUpdate server."
  VERSION=$(cat "$TREE/VERSION")
  find_node
}

# Native packages fit one kind of Node: the distribution's where it is of that kind, else the one that comes along. Debian 13's, whose libuv
# may use io_uring, lets no program of root go on as another user, as "fleetupdate" does: one that comes along is better.
find_node() {
  read -r abi arch <"$TREE/NODE_ABI"
  [ "$arch" = "$(cpu)" ] || die "This archive is for $arch; this machine is $(cpu). Take the archive for $(cpu), or build from a checkout."
  fitting=
  if system_node && [ "$("$NODE" -p process.versions.modules)" = "$abi" ]; then fitting=$NODE; fi
  if [ -n "$fitting" ] && UV_USE_IO_URING=0 "$NODE" -e 'process.setgroups(process.getgroups())' 2>/dev/null; then return 0; fi
  for packed in "$TREE"/agent-release/node-"$(cpu)"-*.gz; do
    [ -f "$packed" ] || continue
    hash=${packed##*-}
    intact "$packed" "${hash%.gz}" || die "$packed was changed. Fetch the archive again."
    version=$(sed -n '/"nodes"/,$ s/^ *"version": "\(.*\)",*$/\1/p' "$TREE/agent-release/release.json" | head -n 1)
    glibc=$(sed -n '/"nodes"/,$ s/^ *"glibc": "\(.*\)",*$/\1/p' "$TREE/agent-release/release.json" | head -n 1)
    private_node "$packed" "$version" "$glibc"
    return 0
  done
  if [ -n "$fitting" ]; then
    NODE=$fitting
    warn "$NODE lets no program of root go on as another user. Call the program as the server's user: sudo -u orchestrator fleetupdate …"
    return 0
  fi
  die "This server needs a Node with module version $abi (Node 20 is 115), and none came along. Install that Node, then run this again."
}

# The values of a new settings file; one that is there is left alone.
settle_settings() {
  PORT_USED=$(env_value PORT)
  PORT_USED=${PORT_USED:-${PORT:-8000}}
  if [ -f "$ENV_FILE" ]; then
    check_settings "$ENV_FILE"
    return 0
  fi
  ask "Name of the first admin" "${UI_USER:-admin}"
  UI_USER=$ANSWER
  if [ -z "${UI_PASSWORD:-}" ]; then
    ask_secret "Password of \"$UI_USER\" (empty: one is made and shown at the end)"
    UI_PASSWORD=$ANSWER
  fi
  if [ -z "$UI_PASSWORD" ]; then
    UI_PASSWORD=$(random_text 20)
    SHOW_PASSWORD=1
  fi
  if [ -z "${PUBLIC_URL:-}" ]; then
    ask "Address by which people and machines reach this server (empty: whatever they use)" ""
    PUBLIC_URL=$ANSWER
  fi
  SERVER_PSK=${SERVER_PSK:-$(random_text 40)}
  JWT_SECRET=${JWT_SECRET:-$(random_text 48)}
  [ "${#JWT_SECRET}" -ge 16 ] || die "JWT_SECRET must have 16 characters or more. Make one with: openssl rand -base64 32"
  [ "${#SERVER_PSK}" -ge 8 ] || die "SERVER_PSK must have 8 characters or more; 16 are good. Make one with: openssl rand -base64 32"
  write_settings "$STAGE/env"
  check_settings "$STAGE/env" "the environment"
}

# By the server's own reader, before anything is stopped or changed: a value it refuses must not cost the server that runs.
check_settings() {
  env -i PATH="$PATH" DATA_DIR="$DATA" "$NODE" "$TREE/main.js" config check --env-file "$1" >"$STAGE/settings.log" 2>&1 ||
    die "The settings in ${2:-$1} are not right: $(tail -n 1 "$STAGE/settings.log")"
}

random_text() { head -c 64 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' | head -c "$1"; }

env_value() { if [ -f "$ENV_FILE" ]; then sed -n "s/^[[:space:]]*\(export[[:space:]]\{1,\}\)\{0,1\}$1=[\"']\{0,1\}\([^\"']*\)[\"']\{0,1\}[[:space:]]*$/\2/p" "$ENV_FILE" | tail -n 1; fi; }

# Something else on our port would only show as a service that starts over and over.
port_is_free() {
  if systemctl is-active --quiet orchestrator-server.service; then return 0; fi
  "$NODE" -e '
    const server = require("node:net").createServer()
    server.on("error", ({ code }) => process.exit(code === "EADDRINUSE" ? 3 : 0)).listen(Number(process.argv[1]), () => server.close())
  ' "$PORT_USED" || die "Port $PORT_USED is taken by another program ($(listener)). Stop it, or set PORT to another one."
}

listener() { (ss -Hltnp "sport = :$PORT_USED" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)".*/\1/p' | head -n 1 | grep .) || printf 'ss -ltnp shows which'; }

install_version() {
  make_user
  make_home
  repair_owners
  target=/opt/orchestrator/server/$VERSION
  if [ "$TREE" = "$target" ] || same_tree "$TREE" "$target"; then return 0; fi
  part=/opt/orchestrator/server/.part-$$
  undo_later "rm -rf '$part'"
  cp -R "$TREE" "$part" || die "There is no room in /opt/orchestrator. Free some space, then run this again."
  chown -R root:root "$part"
  chmod -R u=rwX,go=rX "$part"
  chmod 755 "$part/install.sh"
  link_node "$part"
  write_program "$part/fleetupdate"
  (cd "$part" && "$NODE" -e 'new (require("better-sqlite3"))(":memory:").close(); require("argon2")' 2>"$STAGE/native.log") ||
    die "The native packages of this server do not load here: $(grep -m 1 Error "$STAGE/native.log"). Build it on this machine, from a checkout."
  if [ -e "$target" ]; then
    mv "$target" "$STAGE/replaced"
    undo_later "rm -rf '$target'; mv '$STAGE/replaced' '$target'"
  else
    undo_later "rm -rf '$target'"
  fi
  mv "$part" "$target"
  sync -f "$target" 2>/dev/null || sync
}

# The program for people. Called by root it goes on as the server's user by itself, once it has read what only root may read.
# Where io_uring is on, Node would not let it.
write_program() {
  cat >"$1" <<'TEXT'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
node=$here/node/bin/node
[ -x "$node" ] || node=node
export DATA_DIR="${DATA_DIR:-/var/lib/orchestrator-server}" UV_USE_IO_URING=0
exec "$node" "$here/main.js" "$@"
TEXT
  chmod 755 "$1"
}

same_tree() {
  [ -d "$2" ] || return 1
  [ "$(readlink "$2/node/bin/node" 2>/dev/null)" = "$NODE" ] || return 1
  (cd "$1" && find . -type f -print) | while IFS= read -r file; do cmp -s "$1/$file" "$2/$file" || exit 1; done
}

configure() {
  if [ ! -d "$DATA" ]; then
    undo_later "rm -rf '$DATA'"
    mkdir -p "$DATA"
  fi
  chown orchestrator:orchestrator "$DATA"
  chmod 700 "$DATA"
  find "$DATA" ! -user orchestrator -exec chown -h orchestrator:orchestrator {} +
  if [ ! -d /etc/orchestrator-server ]; then
    undo_later 'rm -rf /etc/orchestrator-server'
    mkdir -p /etc/orchestrator-server
  fi
  key=/etc/orchestrator-server/master.key
  chown root:orchestrator /etc/orchestrator-server
  chmod 750 /etc/orchestrator-server
  if [ ! -f "$key" ]; then
    [ ! -f "$DATA/core.db" ] || die "$key is missing, but $DATA holds a server's data: its secrets are encrypted with that key. Put the key back, then run this again."
    (umask 077 && head -c 32 /dev/urandom | base64 >"$STAGE/master.key")
    put "$STAGE/master.key" "$key"
  fi
  chown root:orchestrator "$key"
  chmod 640 "$key"
  if [ -f "$ENV_FILE" ]; then
    cp -a "$ENV_FILE" "$STAGE/env.before"
    undo_later "cp -a '$STAGE/env.before' '$ENV_FILE'"
    check_old_settings
  else
    undo_later "rm -f '$ENV_FILE'"
    put "$STAGE/env" "$ENV_FILE"
  fi
  # The unit reads it as root, the CLI as the server's user.
  chown root:orchestrator "$ENV_FILE"
  chmod 640 "$ENV_FILE"
}

# write_settings FILE
write_settings() {
  (
    umask 077
    {
      printf '%s\n' '# Settings of the FleetUpdate server; all of them: docs/reference/settings.md. Restart after a change: systemctl restart orchestrator-server'
      printf 'UI_USER=%s\n' "$(quoted "$UI_USER")"
      printf 'UI_PASSWORD=%s\n' "$(quoted "$UI_PASSWORD")"
      printf 'SERVER_PSK=%s\n' "$(quoted "$SERVER_PSK")"
      printf 'JWT_SECRET=%s\n' "$(quoted "$JWT_SECRET")"
      [ -z "${PUBLIC_URL:-}" ] || printf 'PUBLIC_URL=%s\n' "$(quoted "$PUBLIC_URL")"
      [ -z "${HOST:-}" ] || printf 'HOST=%s\n' "$(quoted "$HOST")"
      [ -z "${PORT:-}" ] || printf 'PORT=%s\n' "$(quoted "$PORT")"
    } >"$1"
  )
}

# As systemd and our own reader both understand it: double quotes, with backslash and quote escaped.
quoted() {
  case "$1" in
    *'
'*) die "A setting must not have more than one line." ;;
  esac
  printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"
}

# The settings of the first FleetUpdate stay as they are; what the new server does not take is said now, not at its start.
check_old_settings() {
  say "Keeping the settings in $ENV_FILE."
  database=$(env_value DATABASE_URL)
  if [ -n "$database" ]; then
    warn "DATABASE_URL is of the first FleetUpdate: that database is left untouched and not read any more; everything is kept in $DATA. Agents enrol anew; see docs/migrating.md."
  fi
}

start() {
  target=/opt/orchestrator/server/$VERSION
  enabled=$(systemctl is-enabled orchestrator-server.service 2>/dev/null || true)
  if [ "$FROM" = "$VERSION" ] && [ -z "$(unit_changes "$target")" ] && systemctl is-active --quiet orchestrator-server.service && [ "$enabled" = enabled ] && cmp -s "$STAGE/env.before" "$ENV_FILE"; then
    note "nothing to change"
    link_program
    return 0
  fi
  RAN=
  state=$(systemctl is-active orchestrator-server.service 2>/dev/null || true)
  [ "$state" != active ] || RAN=1
  case "$state" in
    inactive | failed | unknown | '') ;;
    *)
      # Also one that keeps starting over must not run while its data is copied.
      say "Stopping the server …"
      systemctl stop orchestrator-server.service
      undo_later 'systemctl start orchestrator-server.service'
      ;;
  esac
  [ "$FROM" = "$VERSION" ] || keep_data
  install_units "$target"
  if [ -n "$FROM" ]; then undo_later "switch_to server '$FROM'"; else undo_later 'rm -f /opt/orchestrator/server/current'; fi
  switch_to server "$VERSION"
  link_program
  [ "$enabled" = enabled ] || undo_later 'systemctl disable --quiet orchestrator-server.service 2>/dev/null'
  systemctl enable --quiet orchestrator-server.service
  undo_later 'systemctl stop orchestrator-server.service 2>/dev/null; systemctl reset-failed orchestrator-server.service 2>/dev/null'
  say "Starting FleetUpdate $VERSION …"
  systemctl restart --no-block orchestrator-server.service
  answers || {
    last_words orchestrator-server
    die "The server $VERSION did not become ready within a minute. Its last words are above."
  }
}

# A newer server may change its tables; the older one must find its own again if the newer one does not come up.
keep_data() {
  before=/var/lib/.orchestrator-server-before
  if [ ! -f "$DATA/core.db" ] && [ -f "$before/core.db" ]; then
    warn "An update was cut off while it put the data back. It is put back now, from $before."
    mkdir -p "$DATA"
    cp -a "$before/." "$DATA/"
  fi
  [ -f "$DATA/core.db" ] || return 0
  size=$(du -smx "$DATA/" | cut -f1)
  room /var/lib $((size + 100))
  say "Copying the data ($size MB), in case the new version does not start …"
  if [ -d "$before" ] && [ -z "$RAN" ]; then
    kept=/var/lib/orchestrator-server-before-$(date +%Y%m%dT%H%M%S)
    mv "$before" "$kept"
    warn "An update was cut off before, and the server does not run since. The data from before that update is kept in $kept."
  fi
  rm -rf "$before" "$before.part"
  undo_later "rm -rf '$before.part'"
  # What is in the folder, not the folder: it may be a mount or a link.
  mkdir -m 700 "$before.part"
  cp -a --reflink=auto "$DATA/." "$before.part/"
  mv "$before.part" "$before"
  undo_later "find '$DATA/' -mindepth 1 -delete && cp -a '$before/.' '$DATA/' && rm -rf '$before'"
}

# Ready, in this version, by the server's own word: no curl is needed. A service that keeps dying is not waited for.
answers() {
  until=$(($(date +%s) + 60))
  # The loopback, or the one address it listens on: whose name the certificate bears does not matter here.
  host=$(env_value HOST)
  case "$host" in
    '' | 0.0.0.0 | ::) host=127.0.0.1 ;;
    *:*) host="[$host]" ;;
  esac
  scheme=http
  [ -z "$(env_value TLS_CERT_FILE)" ] || scheme=https
  while [ "$(date +%s)" -lt "$until" ]; do
    if NODE_TLS_REJECT_UNAUTHORIZED=0 NODE_NO_WARNINGS=1 "$NODE" -e '
      const [, port, version, scheme, host] = process.argv
      const ask = (path) => fetch(`${scheme}://${host}:${port}${path}`, { signal: AbortSignal.timeout(2000) })
      const look = async () => (await (await ask("/api/health")).json()).version === version && (await ask("/api/ready")).status === 200
      look().then((good) => process.exit(good ? 0 : 1), () => process.exit(1))
    ' "$PORT_USED" "$VERSION" "$scheme" "$host"; then return 0; fi
    restarts=$(systemctl show -P NRestarts orchestrator-server.service)
    if [ "${restarts:-0}" -ge 4 ]; then return 1; fi
    sleep 0.5
  done
  return 1
}

unit_changes() {
  for unit in "$1"/systemd/*; do cmp -s "$unit" "/etc/systemd/system/$(basename "$unit")" || echo changed; done
}

link_program() {
  if [ "$(readlink /usr/local/bin/fleetupdate 2>/dev/null)" != /opt/orchestrator/server/current/fleetupdate ]; then
    mkdir -p /usr/local/bin
    undo_later 'rm -f /usr/local/bin/fleetupdate'
    ln -sfn /opt/orchestrator/server/current/fleetupdate /usr/local/bin/fleetupdate
  fi
}

tell() {
  rm -rf /var/lib/.orchestrator-server-before /var/lib/.orchestrator-server-before.part
  address=$(env_value PUBLIC_URL)
  say "FleetUpdate $VERSION runs: ${address:-http://$(hostname):$PORT_USED}"
  if [ -n "$SHOW_PASSWORD" ]; then say "Log in as \"$UI_USER\" with the password $UI_PASSWORD (it is in $ENV_FILE)."; fi
  say "To check: systemctl status orchestrator-server · journalctl -u orchestrator-server -f · sudo fleetupdate doctor"
  say "To add a machine: \"Add an agent\" in the dashboard, or: sudo fleetupdate agent invite NAME"
}

uninstall() {
  say "Removing the server …"
  systemctl disable --quiet --now orchestrator-server.service 2>/dev/null || true
  rm -f /etc/systemd/system/orchestrator-server.service /usr/local/bin/fleetupdate
  systemctl daemon-reload
  systemctl reset-failed orchestrator-server.service 2>/dev/null || true
  rm -rf /opt/orchestrator/server /var/lib/.orchestrator-server-before /var/lib/.orchestrator-server-before.part
  if [ ! -e /opt/orchestrator/agent/current ]; then rm -rf /opt/orchestrator/node; fi
  if [ -z "$PURGE" ]; then
    say "Removed. These stay: $ENV_FILE, /etc/orchestrator-server (master key), $DATA. With --purge they go too."
    return 0
  fi
  rm -rf "$ENV_FILE" /etc/orchestrator-server "$DATA" /var/lib/orchestrator-server-before-* /var/lib/orchestrator-release
  rmdir /opt/orchestrator 2>/dev/null || true
  if [ ! -e /opt/orchestrator/agent/current ] && [ ! -d /var/lib/orchestrator-agent ]; then
    userdel orchestrator 2>/dev/null || true
    groupdel orchestrator 2>/dev/null || true
  fi
  say "Removed, with settings, data and master key."
}
