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
