#!/bin/sh
# Generated from deploy/install/ by `npm run generate`; do not edit.
# Installs the FleetUpdate agent; `sh install-agent.sh --help` says how.
# shellcheck disable=SC1091,SC2015,SC2016
{

# ---- what both installers share -----------------------------------------------------------------------------------------------

say() { printf '%s\n' "▸ $*"; }
note() { if [ "${VERBOSE:-}" = 1 ]; then printf '  %s\n' "$*"; fi; }
warn() { printf '%s\n' "! $*" >&2; }
die() {
  printf '%s\n' "✗ $*" >&2
  exit 1
}

# What was done and would have to be undone; the newest first. A failure, a signal or a full disk runs it.
UNDO=
undo_later() {
  UNDO="$1
$UNDO"
}
undo_nothing() { UNDO=; }

finish() {
  code=$?
  trap - EXIT
  # A second Ctrl-C must not cut the undo, nor what it starts.
  trap '' HUP INT TERM
  if [ "$code" -ne 0 ] && [ -n "$UNDO" ]; then
    set +e
    warn "Undoing what was done …"
    eval "$UNDO"
    warn "$UNDONE"
  fi
  if [ -n "${STAGE:-}" ]; then rm -rf "$STAGE"; fi
  exit "$code"
}

begin() {
  [ "$(id -u)" = 0 ] || die "This must run as root. Put sudo before it, or become root with: su -"
  [ "$(uname -s)" = Linux ] || die "FleetUpdate runs on Linux; this is $(uname -s)."
  [ -d /run/systemd/system ] || die "This machine was not booted with systemd, which starts FleetUpdate here. In a container, run the container image instead."
  umask 022
  trap finish EXIT
  trap 'exit 130' HUP INT TERM
  if command -v flock >/dev/null 2>&1; then
    exec 9>/run/fleetupdate-install.lock
    flock -n 9 || die "Another installer of FleetUpdate runs right now. Wait for its end."
    # What an installer left behind that was killed, or whose machine lost power; none runs now.
    rm -rf /var/tmp/fleetupdate-install.* "/opt/orchestrator/$PRODUCT"/.part-*
  fi
  STAGE=$(mktemp -d /var/tmp/fleetupdate-install.XXXXXXXX) || die "There is no room in /var/tmp. Free some space, then run this again."
  chmod 700 "$STAGE"
}

# Whether questions can be asked: not with NO_PROMPT=1, and not without a terminal.
can_ask() { [ "${NO_PROMPT:-}" != 1 ] && [ -r /dev/tty ] && [ -w /dev/tty ] && (: </dev/tty) 2>/dev/null; }

# ask QUESTION DEFAULT → ANSWER
ask() {
  ANSWER=$2
  can_ask || return 0
  if [ -n "$2" ]; then printf '%s [%s]: ' "$1" "$2" >/dev/tty; else printf '%s: ' "$1" >/dev/tty; fi
  IFS= read -r ANSWER </dev/tty || ANSWER=
  [ -n "$ANSWER" ] || ANSWER=$2
}

# The same without showing what is typed.
ask_secret() {
  ANSWER=
  can_ask || return 0
  printf '%s: ' "$1" >/dev/tty
  stty -echo </dev/tty 2>/dev/null || true
  IFS= read -r ANSWER </dev/tty || ANSWER=
  stty echo </dev/tty 2>/dev/null || true
  printf '\n' >/dev/tty
}

# need PROGRAM=PACKAGE … : installs the packages of those programs that are missing, and nothing else.
need() {
  missing='' packages=''
  for pair in "$@"; do
    if ! command -v "${pair%%=*}" >/dev/null 2>&1; then
      missing="$missing ${pair%%=*}"
      packages="$packages ${pair#*=}"
    fi
  done
  [ -n "$missing" ] || return 0
  say "Installing what is missing:$packages"
  # shellcheck disable=SC2086  # a list of package names
  if command -v apt-get >/dev/null 2>&1; then
    quietly apt-get update || true
    quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages || true
  elif command -v dnf >/dev/null 2>&1; then
    quietly dnf install -y $packages || true
  elif command -v zypper >/dev/null 2>&1; then
    quietly zypper --non-interactive install $packages || true
  elif command -v pacman >/dev/null 2>&1; then
    quietly pacman -S --noconfirm --needed $packages || true
  else
    die "$(distribution) is not known to this installer. Install by hand what provides:$missing; then run this again."
  fi
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null 2>&1 ||
      die "The program ${pair%%=*} is missing, and the package ${pair#*=} could not be installed. Install it by hand, then run this again."
  done
}

distribution() {
  if [ -r /etc/os-release ]; then (. /etc/os-release && printf '%s' "${PRETTY_NAME:-This distribution}"); else printf 'This distribution'; fi
}

quietly() {
  if [ "${VERBOSE:-}" = 1 ]; then
    "$@"
  else
    "$@" >"$STAGE/quiet.log" 2>&1 || {
      tail -n 15 "$STAGE/quiet.log" >&2
      return 1
    }
  fi
}

# room FOLDER MEGABYTES
room() {
  folder=$1
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  free=$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')
  [ "${free:-0}" -ge "$2" ] || die "$folder has $free MB free; $2 MB are needed. Free some space, then run this again."
}

# intact FILE SHA256
intact() { [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$2" ]; }

# put FILE TARGET : as one rename of what is on the disk already, so that a power cut leaves the old content or the new one.
put() {
  if cp -p "$1" "$2.new" && { sync "$2.new" 2>/dev/null || sync; } && mv -f "$2.new" "$2"; then return 0; fi
  rm -f "$2.new"
  die "$2 could not be written. Free some space there, or let it be written, then run this again."
}

make_user() {
  if ! getent group orchestrator >/dev/null; then
    groupadd --system orchestrator
    undo_later '[ -n "${ENROLLED:-}" ] || groupdel orchestrator 2>/dev/null'
  fi
  if ! getent passwd orchestrator >/dev/null; then
    useradd --system --gid orchestrator --home-dir /var/lib/orchestrator-agent --no-create-home --shell /usr/sbin/nologin orchestrator
    undo_later '[ -n "${ENROLLED:-}" ] || userdel orchestrator 2>/dev/null'
  fi
}

# The folders that root's programs trust must be root's alone; the first FleetUpdate gave them to its user.
repair_owners() {
  for folder in /opt/orchestrator /opt/orchestrator/agent /opt/orchestrator/server; do
    if [ -d "$folder" ] && [ ! -L "$folder" ]; then
      [ "$(stat -c %u "$folder")" = 0 ] || say "Taking $folder back from $(stat -c %U "$folder"): programs must belong to root."
      chown root:root "$folder"
      chmod 755 "$folder"
    fi
  done
}

cpu() {
  case "$(uname -m)" in
    x86_64) printf x64 ;;
    aarch64) printf arm64 ;;
    armv7l) printf arm ;;
    *) uname -m ;;
  esac
}

# Whether a Node is 20.19 or newer, and stands where everybody may start it.
node_is_good() {
  case "$1" in /usr/* | /opt/*) ;; *) return 1 ;; esac
  "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

# The distribution's Node, where it is good → NODE
system_node() {
  NODE=
  for one in "$(command -v node 2>/dev/null || true)" /usr/bin/node /usr/local/bin/node; do
    [ -n "$one" ] && [ -x "$one" ] || continue
    one=$(readlink -f "$one")
    if node_is_good "$one"; then
      NODE=$one
      return 0
    fi
  done
  return 1
}

# private_node FILE.gz VERSION GLIBC : unpacks a Node of our own → NODE. The file was verified before.
private_node() {
  folder=/opt/orchestrator/node/$2-$(cpu)
  if [ ! -x "$folder/node" ]; then
    mkdir -p "$folder"
    undo_later "rm -rf '$folder'; rmdir /opt/orchestrator/node /opt/orchestrator 2>/dev/null"
    gzip -dc "$1" >"$folder/node.part" || die "There is no room for Node in $folder. Free 150 MB, then run this again."
    chmod 755 "$folder/node.part"
    "$folder/node.part" --version >/dev/null 2>&1 ||
      die "The Node that comes along needs glibc $3 and libstdc++; $(distribution) has $(getconf GNU_LIBC_VERSION 2>/dev/null || echo 'another C library'). Install Node 20.19 or newer from its packages, then run this again."
    sync "$folder/node.part" 2>/dev/null || sync
    mv "$folder/node.part" "$folder/node"
  fi
  NODE=$folder/node
}

# make_home : the folder of this product's versions.
make_home() {
  if [ ! -d "/opt/orchestrator/$PRODUCT" ]; then
    undo_later "rmdir '/opt/orchestrator/$PRODUCT' /opt/orchestrator 2>/dev/null"
    mkdir -p "/opt/orchestrator/$PRODUCT"
  fi
}

# link_node FOLDER : the Node of a version, where its unit and its programs look for it first.
link_node() {
  mkdir -p "$1/node/bin"
  ln -sfn "$NODE" "$1/node/bin/node"
}

# switch_to PRODUCT VERSION : makes a version the current one, by one rename.
switch_to() {
  ln -sfn "$2" "/opt/orchestrator/$1/.current-new"
  mv -T "/opt/orchestrator/$1/.current-new" "/opt/orchestrator/$1/current"
  # Before the new version changes its data: after a power cut an old one must not stand before newer tables.
  sync -f "/opt/orchestrator/$1" 2>/dev/null || sync
}

current_of() { if [ -L "/opt/orchestrator/$1/current" ]; then readlink "/opt/orchestrator/$1/current"; fi; }

# The unit files of a version, and what stood in their place before.
install_units() {
  changed=
  undo_later 'systemctl daemon-reload'
  for unit in "$1"/systemd/*; do
    name=$(basename "$unit")
    target=/etc/systemd/system/$name
    if cmp -s "$unit" "$target"; then continue; fi
    changed=1
    if [ -e "$target" ]; then
      cp -a "$target" "$STAGE/$name.before"
      undo_later "cp -a '$STAGE/$name.before' '$target'"
    else
      undo_later "rm -f '$target'"
    fi
    cp "$unit" "$STAGE/$name"
    chown root:root "$STAGE/$name"
    chmod 644 "$STAGE/$name"
    put "$STAGE/$name" "$target"
  done
  [ -z "$changed" ] || systemctl daemon-reload
}

# forget_versions PRODUCT : keeps the running version and the one before it.
forget_versions() {
  keep=$(current_of "$1")
  before=${2:-}
  for folder in "/opt/orchestrator/$1"/*/; do
    name=$(basename "$folder")
    [ -L "${folder%/}" ] && continue
    # Only what an installer of ours put there.
    [ -f "$folder/VERSION" ] && [ -f "$folder/main.js" ] || continue
    if [ "$name" != "$keep" ] && [ "$name" != "$before" ]; then rm -rf "$folder"; fi
  done
}

# The last lines a service said, for a failure.
last_words() {
  journalctl -u "$1" -n 12 --no-pager -o cat 2>/dev/null | sed 's/^/    /' >&2 || true
}

# checkout FOLDER : builds a version from sources in a copy, so that the checkout stays as it is → TREE
# The key that signs the agent's release is root's alone: the server never has it.
build_checkout() {
  system_node || die "Building from sources needs Node 20.19 or newer in /usr or /opt; $(distribution) has ${1:+none of that kind}. Use a release archive, which brings its own."
  need npm=npm tar=tar make=make g++=g++ python3=python3
  room /var/tmp 2500
  SOURCE=$STAGE/source
  mkdir -p "$SOURCE"
  (cd "$1" && tar --exclude=./node_modules --exclude=./data --exclude=dist --exclude=.turbo -cf - .) | tar -C "$SOURCE" -xf -
  version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' "$SOURCE/package.json" | head -n 1)
  revision=$(cd "$1" && git -c safe.directory='*' rev-parse --short=12 HEAD 2>/dev/null || true)
  if [ -n "$revision" ] && [ -n "$(cd "$1" && git -c safe.directory='*' status --porcelain 2>/dev/null)" ]; then revision=; fi
  [ -n "$revision" ] || revision=$( (cd "$SOURCE" && find . -path ./.git -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) | sha256sum | cut -c1-12)
  VERSION=$version+$revision
  # Built before: this product itself, or the server, which has its agent inside.
  for built in "/opt/orchestrator/$PRODUCT/$VERSION" "/opt/orchestrator/server/$VERSION"; do
    [ -f "$built/main.js" ] && [ -f "$built/VERSION" ] || continue
    TREE=$built
    return 0
  done
  key=/var/lib/orchestrator-release/release.key
  if [ ! -f "$key" ]; then
    mkdir -p /var/lib/orchestrator-release
    chmod 700 /var/lib/orchestrator-release
    (cd "$SOURCE" && "$NODE" deploy/release/main.mjs --new-key "$key" >/dev/null) || die "No key for the agent's release could be made in $key."
  fi
  say "Building $VERSION from sources; this takes some minutes …"
  (cd "$SOURCE" && quietly "$NODE" deploy/release/main.mjs --tree --out "$STAGE/tree" --version "$VERSION" --key "$key") ||
    die "Building failed; see above. Nothing was changed."
  TREE=$STAGE/tree
}

# Where the sources come from, if not from a checkout: REPO_URL_OVERRIDE, at REPO_REF where that is set.
clone() {
  need git=git
  say "Fetching $REPO_URL_OVERRIDE …"
  quietly git clone --quiet "$REPO_URL_OVERRIDE" "$STAGE/clone" || die "$REPO_URL_OVERRIDE could not be fetched. Check REPO_URL_OVERRIDE."
  [ -z "${REPO_REF:-}" ] || quietly git -C "$STAGE/clone" checkout --quiet "$REPO_REF" || die "There is no \"$REPO_REF\" in $REPO_URL_OVERRIDE."
  build_checkout "$STAGE/clone"
}

# Folder of this script, where it is a file; empty where it came through a pipe.
own_folder() {
  case "$0" in
    */* | *.sh) if [ -f "$0" ]; then (cd "$(dirname "$0")" && pwd -P); fi ;;
  esac
}

# ---- the agent ----------------------------------------------------------------------------------------------------------------

# The server that serves this script fills these in; in a file they are empty.
BAKED_SERVER_URL=''
BAKED_VERSION=''
BAKED_RELEASE_KEY=''
BAKED_RELEASE_SHA256=''
BAKED_ARCHIVE=''
BAKED_NODES=''

PRODUCT=agent
CONFIG=/etc/orchestrator-agent/config.yaml
STATE=/var/lib/orchestrator-agent
UNDONE="The agent was not installed or updated; what ran before runs again."

usage() {
  cat <<'TEXT'
Installs or updates the FleetUpdate agent on this machine.

  sudo sh install-agent.sh [--allow-older] [--new-release-key]
  sudo sh install-agent.sh --uninstall [--purge]

Environment: AGENT_ID, SERVER_URL, AGENT_PSK (SERVER_PSK of the server, or an enrolment token), NO_PROMPT=1, VERBOSE=1,
REPO_URL_OVERRIDE (build from that git repository), REPO_REF.

  --allow-older       take a release that is older than the installed one
  --new-release-key   trust the key of this release from now on, where another one was trusted so far
  --uninstall         remove the agent; its configuration and its identity stay
  --purge             remove these too
TEXT
}

main() {
  set -eu
  export LC_ALL=C.UTF-8
  OLDER='' NEW_KEY='' REMOVE='' PURGE='' ENROLLED=''
  for option in "$@"; do
    case "$option" in
      --allow-older) OLDER=1 ;;
      --new-release-key) NEW_KEY=1 ;;
      --uninstall) REMOVE=1 ;;
      --purge) PURGE=1 ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) die "Unknown option $option. See: install-agent.sh --help" ;;
    esac
  done
  begin
  if [ -n "$REMOVE$PURGE" ]; then
    uninstall
    exit 0
  fi
  need tar=tar gzip=gzip sha256sum=coreutils
  room /opt 350
  room /var/lib 100
  room /var/tmp 150
  HERE=$(own_folder)
  FROM=$(current_of agent)
  obtain
  settle_settings
  install_version
  configure
  enrol
  start
  undo_nothing
  forget_versions agent "$FROM"
  say "The agent $VERSION runs as \"$AGENT_ID\" and is connected to $SERVER_URL."
  say "To check: systemctl status orchestrator-agent · journalctl -u orchestrator-agent -f · sudo fleetupdate-agent doctor"
}

# → TREE (a folder to copy from), VERSION, COUNTER, RELEASE_KEY, NODE
obtain() {
  if [ -n "$BAKED_SERVER_URL" ]; then
    download
  elif [ -n "${REPO_URL_OVERRIDE:-}" ]; then
    clone
    from_server_tree
  elif [ -n "$HERE" ] && [ -f "$HERE/VERSION" ] && [ -f "$HERE/main.js" ]; then
    # An unpacked archive: whoever unpacked it answers for it.
    TREE=$HERE
    system_node || packed_node || die "This machine has no Node 20.19 or newer. Install one, or use the line from the dashboard, which brings it along."
  elif [ -n "$HERE" ] && [ -f "$HERE/../deploy/install-agent.sh" ]; then
    build_checkout "$(dirname "$HERE")"
    from_server_tree
  else
    die "This script came without an agent. Take the line from the dashboard (\"Add an agent\"), or run it from an unpacked archive or a checkout."
  fi
  VERSION=$(cat "$TREE/VERSION")
  RELEASE_KEY=$(cat "$TREE/release.pub")
}

# fetch URL FILE
fetch() {
  note "fetching $1"
  if command -v curl >/dev/null 2>&1; then
    curl -fsSL --retry 3 --connect-timeout 15 -o "$2" "$1"
  else
    wget -q --tries=3 --timeout=30 -O "$2" "$1"
  fi
}

# may_read_journal : so that the agent's user can follow the journal.
may_read_journal() {
  if getent group systemd-journal >/dev/null && ! id -nG orchestrator | tr ' ' '\n' | grep -qx systemd-journal; then
    usermod --append --groups systemd-journal orchestrator
  fi
}

# keep_old FILE : moves a file of the first FleetUpdate out of the way, where it can be found again.
keep_old() {
  [ -e "$1" ] || return 0
  mkdir -p /opt/orchestrator/replaced
  chmod 700 /opt/orchestrator/replaced
  say "Keeping $1 of the first FleetUpdate as /opt/orchestrator/replaced/$(basename "$1")"
  cp -a "$1" "/opt/orchestrator/replaced/$(basename "$1")"
  undo_later "cp -a '/opt/orchestrator/replaced/$(basename "$1")' '$1'"
  rm -f "$1"
}

# verified RELEASE_JSON SIGNATURE KEY ARCHIVE_NAME : whether that key signed it and it names that archive.
verified() {
  "$NODE" -e '
    const { createPublicKey, verify } = require("node:crypto"), { readFileSync } = require("node:fs")
    const [, json, signature, key, archive] = process.argv
    const publicKey = createPublicKey({ key: Buffer.from(key, "base64"), format: "der", type: "spki" })
    const bytes = readFileSync(json)
    const good = publicKey.asymmetricKeyType === "ed25519" && verify(null, bytes, publicKey, Buffer.from(readFileSync(signature, "utf8"), "base64"))
    process.exit(good && JSON.parse(bytes).archive.name === archive ? 0 : 1)
  ' "$1" "$2" "$3" "$4"
}

# From the server, verified against what is written in this script before anything of it runs.
download() {
  command -v curl >/dev/null 2>&1 || command -v wget >/dev/null 2>&1 || need curl=curl
  SERVER_URL=${SERVER_URL:-$BAKED_SERVER_URL}
  base=$SERVER_URL/install
  say "Fetching the agent $BAKED_VERSION from $SERVER_URL …"
  fetch "$base/release.json" "$STAGE/release.json" && fetch "$base/release.sig" "$STAGE/release.sig" && fetch "$base/files/$BAKED_ARCHIVE" "$STAGE/agent.tar.gz" ||
    die "The server at $SERVER_URL cannot be reached, or has another release by now. Check the address and a firewall between, or take a new line from the dashboard."
  intact "$STAGE/release.json" "$BAKED_RELEASE_SHA256" || die "release.json from $SERVER_URL is not the one that was invited. Take a new line from the dashboard."
  hash=${BAKED_ARCHIVE#agent-}
  intact "$STAGE/agent.tar.gz" "${hash%.tar.gz}" || die "The archive from $SERVER_URL did not arrive whole and unchanged. Run the line again."
  system_node || download_node
  verified "$STAGE/release.json" "$STAGE/release.sig" "$BAKED_RELEASE_KEY" "$BAKED_ARCHIVE" ||
    die "The release from $SERVER_URL is not signed by the key that was invited. Do not use it; tell whoever runs the server."
  mkdir "$STAGE/tree"
  tar -xzf "$STAGE/agent.tar.gz" -C "$STAGE/tree" --no-same-owner || die "The archive could not be unpacked. Is the disk full?"
  TREE=$STAGE/tree
  [ "$(cat "$TREE/release.pub")" = "$BAKED_RELEASE_KEY" ] || die "The archive names another key than it was signed with. Do not use it."
  cp "$STAGE/release.json" "$STAGE/release.sig" "$TREE/"
}

# A Node that lies beside the unpacked archive, as in the Debian package.
packed_node() {
  for packed in "$HERE"/../node/node-"$(cpu)"-*.gz; do
    [ -f "$packed" ] || continue
    hash=${packed##*-}
    intact "$packed" "${hash%.gz}" || die "$packed was changed. Install the package again."
    read -r node_version node_glibc <"$HERE/../node/VERSION"
    private_node "$packed" "$node_version" "$node_glibc"
    return 0
  done
  return 1
}

download_node() {
  rest=$BAKED_NODES
  while [ -n "$rest" ]; do
    one=${rest%%;*}
    case "$rest" in *';'*) rest=${rest#*;} ;; *) rest= ;; esac
    # shellcheck disable=SC2086  # four words
    set -- $one
    if [ "$1" = "$(cpu)" ]; then
      say "This machine has no Node 20.19 or newer: fetching $2 for FleetUpdate alone …"
      fetch "$SERVER_URL/install/files/$4" "$STAGE/node.gz" || die "Node could not be fetched from $SERVER_URL. Run the line again."
      hash=${4##*-}
      intact "$STAGE/node.gz" "${hash%.gz}" || die "Node did not arrive whole and unchanged. Run the line again."
      private_node "$STAGE/node.gz" "$2" "$3"
      return 0
    fi
  done
  die "This machine has no Node 20.19 or newer, and the server has none for $(uname -m). Install Node from the distribution or nodejs.org, then run the line again."
}

# The agent inside a server that was built.
from_server_tree() {
  if [ ! -d "$TREE/agent-release" ]; then return 0; fi
  mkdir -p "$STAGE/agent"
  tar -xzf "$TREE"/agent-release/agent-*.tar.gz -C "$STAGE/agent" --no-same-owner
  cp "$TREE/agent-release/release.json" "$TREE/agent-release/release.sig" "$STAGE/agent/"
  TREE=$STAGE/agent
}

# AGENT_ID and SERVER_URL: the environment, then the configuration that is there, then a question.
settle_settings() {
  if [ -f "$CONFIG" ]; then
    AGENT_ID=${AGENT_ID:-$(setting id)}
    SERVER_URL=${SERVER_URL:-$(setting server_url)}
  fi
  if [ -z "${AGENT_ID:-}" ]; then
    ask "Name of this machine in FleetUpdate" "$(hostname)"
    AGENT_ID=$ANSWER
  fi
  if [ -z "${SERVER_URL:-}" ]; then
    ask "Address of the server, for example https://fleet.example.com" "$BAKED_SERVER_URL"
    SERVER_URL=$ANSWER
  fi
  SERVER_URL=${SERVER_URL%/}
  printf '%s' "$AGENT_ID" | grep -Eq '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' || die "AGENT_ID \"$AGENT_ID\" does not fit: use 1 to 64 letters, digits, dots, dashes or underscores."
  printf '%s' "$SERVER_URL" | grep -Eq '^https?://([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\])(:[0-9]+)?(/[A-Za-z0-9._~-]+)*$' || die "SERVER_URL \"$SERVER_URL\" does not fit: give scheme, host and port, for example https://fleet.example.com."
  # Before anything is changed: does anybody answer there?
  if command -v curl >/dev/null 2>&1 || command -v wget >/dev/null 2>&1; then
    fetch "$SERVER_URL/api/health" "$STAGE/health" 2>"$STAGE/health.error" ||
      die "The server at $SERVER_URL does not answer: $(tail -n 1 "$STAGE/health.error"). Check the address, the server, and a firewall between."
  fi
}

# A plain value below "agent:" in the configuration that is there.
setting() {
  sed -n "/^agent:/,/^[^[:space:]#]/ s/^[[:space:]]\{1,\}$1:[[:space:]]*[\"']\{0,1\}\([^\"'#]*[^\"'#[:space:]]\).*/\1/p" "$CONFIG" | head -n 1
}

install_version() {
  make_user
  may_read_journal
  make_home
  repair_owners
  pin_key
  refuse_older
  target=/opt/orchestrator/agent/$VERSION
  if [ "$TREE" != "$target" ] && ! same_tree "$TREE" "$target"; then
    part=/opt/orchestrator/agent/.part-$$
    undo_later "rm -rf '$part'"
    cp -R "$TREE" "$part" || die "There is no room in /opt/orchestrator. Free some space, then run this again."
    chown -R root:root "$part"
    chmod -R u=rwX,go=rX "$part"
    for program in "$part"/*; do
      case "${program##*/}" in main.js | *.sh) chmod 755 "$program" ;; *.* | VERSION) ;; *) [ -d "$program" ] || chmod 755 "$program" ;; esac
    done
    link_node "$part"
    [ "$("$NODE" "$part/main.js" version)" = "$VERSION" ] || die "The agent $VERSION does not start with $NODE on this machine. Nothing was changed."
    if [ -e "$target" ]; then
      mv "$target" "$STAGE/replaced"
      undo_later "rm -rf '$target'; mv '$STAGE/replaced' '$target'"
    else
      undo_later "rm -rf '$target'"
    fi
    mv "$part" "$target"
    sync -f "$target" 2>/dev/null || sync
  fi
}

# The key that updates must be signed with is pinned once; another one needs a word from whoever stands here.
pin_key() {
  pin=/etc/orchestrator-agent/release.pub
  if [ -f "$pin" ] && ! grep -qxF "$RELEASE_KEY" "$pin"; then
    [ -n "$NEW_KEY" ] || die "This machine trusts another release key ($pin). If the server was built anew or its key was changed on purpose, run this again with: | sudo sh -s -- --new-release-key"
    cp -a "$pin" "$STAGE/release.pub.before"
    undo_later "cp -a '$STAGE/release.pub.before' '$pin'"
    rm -f "$pin"
  fi
  [ -d /etc/orchestrator-agent ] || undo_later '[ -n "$ENROLLED" ] || rmdir /etc/orchestrator-agent 2>/dev/null'
  mkdir -p /etc/orchestrator-agent
  chown root:orchestrator /etc/orchestrator-agent
  chmod 750 /etc/orchestrator-agent
  if [ ! -f "$pin" ]; then
    undo_later "[ -n \"\$ENROLLED\" ] || rm -f '$pin'"
    printf '%s\n' "$RELEASE_KEY" >"$STAGE/release.pub"
    put "$STAGE/release.pub" "$pin"
    chown root:orchestrator "$pin"
    chmod 640 "$pin"
  fi
}

refuse_older() {
  [ -n "$FROM" ] && [ -f "/opt/orchestrator/agent/$FROM/release.json" ] && [ -f "$TREE/release.json" ] || return 0
  have=$(counter_of "/opt/orchestrator/agent/$FROM/release.json")
  new=$(counter_of "$TREE/release.json")
  if [ "${new:-0}" -lt "${have:-0}" ] && [ -z "$OLDER" ]; then
    die "The release $VERSION is older than the installed $FROM. If you want that, run this again with: | sudo sh -s -- --allow-older"
  fi
}

counter_of() { sed -n 's/^ *"counter": *\([0-9]*\),*$/\1/p' "$1" | head -n 1; }

same_tree() {
  [ -d "$2" ] || return 1
  [ "$(readlink "$2/node/bin/node" 2>/dev/null)" = "$NODE" ] || return 1
  (cd "$1" && find . -type f -print) | while IFS= read -r file; do cmp -s "$1/$file" "$2/$file" || exit 1; done
}

configure() {
  if [ ! -d "$STATE" ]; then
    undo_later "[ -n \"\$ENROLLED\" ] || rm -rf '$STATE'"
    mkdir -p "$STATE"
  fi
  chown orchestrator:orchestrator "$STATE"
  chmod 700 "$STATE"
  # What the old installer or a run as root left behind here, the agent could not change.
  find "$STATE" ! -user orchestrator -exec chown -h orchestrator:orchestrator {} +
  if [ ! -d /var/lib/orchestrator-helper ]; then
    undo_later 'rm -rf /var/lib/orchestrator-helper'
    mkdir -p /var/lib/orchestrator-helper
  fi
  chown root:root /var/lib/orchestrator-helper
  chmod 755 /var/lib/orchestrator-helper
  if [ ! -f "$CONFIG" ]; then
    undo_later "[ -n \"\$ENROLLED\" ] || rm -f '$CONFIG'"
    cat >"$STAGE/config.yaml" <<TEXT
# The agent of FleetUpdate. All keys: docs/guide/agent.md
agent:
  id: "$AGENT_ID"
  server_url: "$SERVER_URL"
TEXT
    put "$STAGE/config.yaml" "$CONFIG"
  fi
  chown root:orchestrator "$CONFIG"
  chmod 640 "$CONFIG"
  for old in /etc/sudoers.d/*; do
    [ -f "$old" ] && grep -Eq '^orchestrator[[:space:]].*(apt|ALL=\(ALL(:ALL)?\)[[:space:]]*(NOPASSWD:)?[[:space:]]*ALL)' "$old" || continue
    warn "$old lets the user orchestrator become root at will. It is not needed any more."
    keep_old "$old"
  done
}

# A new identity, before anything is started: a wrong secret must not leave a service behind that tries for ever.
enrol() {
  if [ -f "$STATE/identity.json" ]; then return 0; fi
  if [ -z "${AGENT_PSK:-}" ] && ! grep -Eq '^[[:space:]]+psk:' "$CONFIG"; then
    ask_secret "Enrolment token, or SERVER_PSK of the server"
    AGENT_PSK=$ANSWER
    [ -n "$AGENT_PSK" ] || die "An enrolment needs a secret. Give AGENT_PSK: a token from the dashboard, or the server's SERVER_PSK."
  fi
  say "Enrolling as \"$AGENT_ID\" …"
  stop_old
  # In the environment, which only the same user can read; never an argument.
  export AGENT_ID SERVER_URL AGENT_PSK="${AGENT_PSK:-}" NO_PROMPT=1
  tries=0
  until runuser -u orchestrator -- "$NODE" "/opt/orchestrator/agent/$VERSION/main.js" enroll 2>"$STAGE/enrol.log"; do
    # Where a person must let the machine in, the same enrolment is asked for again until somebody does.
    grep -q FLT_ENROL_WAITING "$STAGE/enrol.log" && [ "$tries" -lt 360 ] || {
      cat "$STAGE/enrol.log" >&2
      die "The server did not enrol this machine. See the line above."
    }
    [ "$tries" -gt 0 ] || say "An admin must let this machine in, in the dashboard. Waiting, up to an hour …"
    tries=$((tries + 1))
    sleep 10
  done
  unset AGENT_PSK
  # From here on the server knows this machine: a failure must not throw its identity away.
  # shellcheck disable=SC2034  # read while undoing
  ENROLLED=1
  UNDONE="$UNDONE This machine is enrolled: its identity stays, and once the cause is gone, the same line goes on from here."
}

stop_old() {
  if systemctl is-active --quiet orchestrator-agent.service; then
    note "stopping the agent"
    systemctl stop orchestrator-agent.service
    undo_later 'systemctl start orchestrator-agent.service'
  fi
}

start() {
  target=/opt/orchestrator/agent/$VERSION
  enabled=$(systemctl is-enabled orchestrator-agent.service 2>/dev/null || true)
  if [ "$FROM" = "$VERSION" ] && [ -z "$(unit_changes "$target")" ] && systemctl is-active --quiet orchestrator-agent.service && [ "$enabled" = enabled ]; then
    note "nothing to change"
    link_program
    return 0
  fi
  stop_old
  install_units "$target"
  if [ -n "$FROM" ]; then undo_later "switch_to agent '$FROM'"; else undo_later 'rm -f /opt/orchestrator/agent/current'; fi
  switch_to agent "$VERSION"
  link_program
  sudo_way
  [ "$enabled" = enabled ] || undo_later 'systemctl disable --quiet orchestrator-agent.service 2>/dev/null; systemctl stop orchestrator-agent.service 2>/dev/null'
  rm -f "$STATE/checked-in.json"
  [ ! -f /etc/systemd/system/orchestrator-helper.socket ] || systemctl enable --quiet --now orchestrator-helper.socket
  [ ! -f /etc/systemd/system/orchestrator-agent-update.service ] || systemctl enable --quiet orchestrator-agent-update.service
  systemctl enable --quiet orchestrator-agent.service
  undo_later 'systemctl stop orchestrator-agent.service 2>/dev/null'
  systemctl restart --no-block orchestrator-agent.service
  waited=0
  until [ -f "$STATE/checked-in.json" ]; do
    if [ "$waited" -ge 60 ]; then
      last_words orchestrator-agent
      die "The agent $VERSION did not reach the server within a minute. Its last words are above."
    fi
    waited=$((waited + 1))
    sleep 1
  done
}

unit_changes() {
  for unit in "$1"/systemd/*; do cmp -s "$unit" "/etc/systemd/system/$(basename "$unit")" || echo changed; done
}

# Where no socket leads to the root helper, sudo does, with one exact line.
sudo_way() {
  if [ -f /etc/systemd/system/orchestrator-helper.socket ]; then return 0; fi
  command -v visudo >/dev/null 2>&1 || {
    warn "sudo is not installed: this agent watches, but cannot upgrade anything. Install sudo and run this again."
    return 0
  }
  line='orchestrator ALL=(root) NOPASSWD: /opt/orchestrator/agent/current/root-helper ""'
  file=/etc/sudoers.d/orchestrator-agent
  [ "$(cat "$file" 2>/dev/null)" = "$line" ] && return 0
  printf '%s\n' "$line" >"$STAGE/sudoers"
  visudo -cqf "$STAGE/sudoers" || die "sudo does not accept the line for the root helper. Nothing was changed."
  undo_later "rm -f '$file'"
  chmod 440 "$STAGE/sudoers"
  put "$STAGE/sudoers" "$file"
}

link_program() {
  if [ "$(readlink /usr/local/bin/fleetupdate-agent 2>/dev/null)" != /opt/orchestrator/agent/current/main.js ]; then
    mkdir -p /usr/local/bin
    undo_later 'rm -f /usr/local/bin/fleetupdate-agent'
    ln -sfn /opt/orchestrator/agent/current/main.js /usr/local/bin/fleetupdate-agent
  fi
}

uninstall() {
  say "Removing the agent …"
  for unit in orchestrator-agent-update.service orchestrator-agent.service orchestrator-helper.socket; do
    systemctl disable --quiet --now "$unit" 2>/dev/null || true
  done
  rm -f /etc/systemd/system/orchestrator-agent.service /etc/systemd/system/orchestrator-agent-update.service /etc/systemd/system/orchestrator-agent-update@.service
  rm -f /etc/systemd/system/orchestrator-helper.socket /etc/systemd/system/orchestrator-helper@.service
  systemctl daemon-reload
  systemctl reset-failed 'orchestrator-agent*' 'orchestrator-helper*' 2>/dev/null || true
  rm -f /etc/sudoers.d/orchestrator-agent /usr/local/bin/fleetupdate-agent
  rm -rf /opt/orchestrator/agent
  if [ ! -e /opt/orchestrator/server/current ]; then rm -rf /opt/orchestrator/node; fi
  rmdir /opt/orchestrator 2>/dev/null || true
  if [ -z "$PURGE" ]; then
    say "Removed. These stay: /etc/orchestrator-agent (configuration), $STATE (identity, journal), /var/lib/orchestrator-helper. With --purge they go too."
    return 0
  fi
  rm -rf /etc/orchestrator-agent "$STATE" /var/lib/orchestrator-helper
  if [ ! -e /opt/orchestrator/server/current ] && [ ! -d /var/lib/orchestrator-server ]; then
    userdel orchestrator 2>/dev/null || true
    groupdel orchestrator 2>/dev/null || true
  fi
  say "Removed, with configuration and identity. On the server, remove the machine from the fleet."
}

main "$@"
}
