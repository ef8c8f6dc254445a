#!/usr/bin/env bash
# Installs vcomd as built, or takes it away again: install.sh install|uninstall. DESTDIR, PREFIX (/usr/local), SYSCONFDIR (/etc) and UNITDIR say
# where. A configuration or unit that was edited is left as it is, by both.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${PREFIX:-/usr/local}
dest=${DESTDIR:-}
etc=$dest${SYSCONFDIR:-/etc}
units=$dest${UNITDIR:-$prefix/lib/systemd/system}
share=$dest$prefix/share
bin=${BIN:-bin}/vcomd

# put MODE FROM TO: copies, with a word on what was done.
put() {
  install -D -m "$1" "$2" "$3"
  echo "installed ${3#"$dest"}"
}

# page NAME: a manual page, printed by the binary itself.
page() {
  local to=$share/man/man${1##*.}/$1
  mkdir -p "$(dirname "$to")"
  "$bin" man "$1" >"$to"
  chmod 644 "$to"
  echo "installed ${to#"$dest"}"
}

# unit NAME: a unit that starts the binary from where it is installed.
unit() {
  local to=$units/$1
  mkdir -p "$(dirname "$to")"
  sed "s|/usr/bin/vcomd|$prefix/bin/vcomd|; s|/etc/vcomd/|${SYSCONFDIR:-/etc}/vcomd/|" "packaging/systemd/$1" >"$to"
  chmod 644 "$to"
  echo "installed ${to#"$dest"}"
}

# drop PATH…: removes what is there.
drop() {
  local path
  for path in "$@"; do
    [ -e "$path" ] || continue
    rm -f "$path"
    echo "removed ${path#"$dest"}"
  done
}

documents=(README.md CHANGELOG.md LICENSE docs/*.md)
examples=(packaging/systemd/kernel-tty.conf packaging/systemd/overlay.conf packaging/gpsd-vcomd.service packaging/gpsd-on-vcom@.service packaging/vcomd.toml)

case ${1:-} in
install)
  [ -x "$bin" ] || { echo "install: there is no $bin: run make build first" >&2; exit 1; }
  put 755 "$bin" "$dest$prefix/bin/vcomd"
  page vcomd.1
  page vcomd.toml.5
  unit vcomd.service
  unit vcomd@.service
  for f in "${documents[@]}"; do put 644 "$f" "$share/doc/vcomd/$(basename "$f")"; done
  for f in "${examples[@]}"; do put 644 "$f" "$share/doc/vcomd/examples/$(basename "$f")"; done
  if [ -e "$etc/vcomd/vcomd.toml" ]; then
    echo "left ${etc#"$dest"}/vcomd/vcomd.toml as it is"
  else
    put 644 packaging/vcomd.toml "$etc/vcomd/vcomd.toml"
  fi
  [ -n "$dest" ] || ! command -v systemctl >/dev/null || systemctl daemon-reload 2>/dev/null || true
  ;;
uninstall)
  drop "$dest$prefix/bin/vcomd" "$share/man/man1/vcomd.1" "$share/man/man5/vcomd.toml.5" "$units/vcomd.service" "$units/vcomd@.service"
  for f in "${documents[@]}"; do drop "$share/doc/vcomd/$(basename "$f")"; done
  for f in "${examples[@]}"; do drop "$share/doc/vcomd/examples/$(basename "$f")"; done
  rmdir -p --ignore-fail-on-non-empty "$share/doc/vcomd/examples" 2>/dev/null || true
  if [ -e "$etc/vcomd/vcomd.toml" ] && cmp -s packaging/vcomd.toml "$etc/vcomd/vcomd.toml"; then
    drop "$etc/vcomd/vcomd.toml"
    rmdir --ignore-fail-on-non-empty "$etc/vcomd"
  elif [ -e "$etc/vcomd/vcomd.toml" ]; then
    echo "left ${etc#"$dest"}/vcomd/vcomd.toml, which was edited"
  fi
  ;;
*)
  echo "usage: $0 install|uninstall" >&2
  exit 2
  ;;
esac
