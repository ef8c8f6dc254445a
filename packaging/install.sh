#!/usr/bin/env bash
# Installs vcomd as built, or takes it away again: install.sh install|uninstall. DESTDIR, PREFIX (/usr/local), SYSCONFDIR (/etc) and UNITDIR say
# where. A configuration or unit that was edited is left as it is, by both: their sums are kept in a list of what was installed.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${PREFIX:-/usr/local}
dest=${DESTDIR:-}
etc=$dest${SYSCONFDIR:-/etc}
units=$dest${UNITDIR:-$prefix/lib/systemd/system}
share=$dest$prefix/share
bin=${BIN:-bin}/vcomd
list=$share/vcomd/installed.sha256

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

# sum FILE: its sum alone.
sum() { sha256sum <"$1" | cut -d' ' -f1; }

# edited PATH: whether a file is there that is not as it was installed.
edited() {
  [ -e "$1" ] || return 1
  ! grep -qxF "$(sum "$1")  ${1#"$dest"}" "$list" 2>/dev/null
}

# record PATH: it is in the list, as it is now.
record() {
  mkdir -p "$(dirname "$list")"
  touch "$list"
  { grep -vF "  ${1#"$dest"}" "$list" || true; echo "$(sum "$1")  ${1#"$dest"}"; } >"$list.new"
  mv "$list.new" "$list"
}

# keep FROM TO: copies a file that people may edit, unless they have.
keep() {
  if edited "$2" && ! cmp -s "$1" "$2"; then
    echo "left ${2#"$dest"} as it is: it was edited"
    return
  fi
  put 644 "$1" "$2"
  record "$2"
}

# unit NAME: a unit that starts the binary from where it is installed.
unit() {
  local made
  made=$(mktemp)
  sed "s|/usr/bin/vcomd|$prefix/bin/vcomd|; s|/etc/vcomd/|${SYSCONFDIR:-/etc}/vcomd/|" "packaging/systemd/$1" >"$made"
  keep "$made" "$units/$1"
  rm -f "$made"
}

# forget PATH…: removes files that people may edit, unless they have.
forget() {
  local path
  for path in "$@"; do
    if edited "$path"; then
      echo "left ${path#"$dest"}, which was edited"
    else
      drop "$path"
    fi
  done
}

# completion SHELL TO: a shell's script, printed by the binary itself.
completion() {
  mkdir -p "$(dirname "$2")"
  "$bin" completion "$1" >"$2"
  chmod 644 "$2"
  echo "installed ${2#"$dest"}"
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

bash=$share/bash-completion/completions/vcomd
zsh=$share/zsh/site-functions/_vcomd
fish=$share/fish/vendor_completions.d/vcomd.fish
documents=(README.md CHANGELOG.md LICENSE docs/*.md)
examples=(packaging/systemd/kernel-tty.conf packaging/systemd/overlay.conf packaging/gpsd-vcomd.service packaging/gpsd-on-vcom@.service packaging/vcomd.toml)

case ${1:-} in
install)
  [ -x "$bin" ] || { echo "install: there is no $bin: run make build first" >&2; exit 1; }
  put 755 "$bin" "$dest$prefix/bin/vcomd"
  page vcomd.1
  page vcomd.toml.5
  completion bash "$bash"
  completion zsh "$zsh"
  completion fish "$fish"
  unit vcomd.service
  unit vcomd@.service
  for f in "${documents[@]}"; do put 644 "$f" "$share/doc/vcomd/$(basename "$f")"; done
  for f in "${examples[@]}"; do put 644 "$f" "$share/doc/vcomd/examples/$(basename "$f")"; done
  keep packaging/vcomd.toml "$etc/vcomd/vcomd.toml"
  [ -n "$dest" ] || ! command -v systemctl >/dev/null || systemctl daemon-reload 2>/dev/null || true
  ;;
uninstall)
  drop "$dest$prefix/bin/vcomd" "$share/man/man1/vcomd.1" "$share/man/man5/vcomd.toml.5" "$bash" "$zsh" "$fish"
  for f in "${documents[@]}"; do drop "$share/doc/vcomd/$(basename "$f")"; done
  for f in "${examples[@]}"; do drop "$share/doc/vcomd/examples/$(basename "$f")"; done
  rmdir -p --ignore-fail-on-non-empty "$share/doc/vcomd/examples" 2>/dev/null || true
  forget "$units/vcomd.service" "$units/vcomd@.service" "$etc/vcomd/vcomd.toml"
  drop "$list"
  rmdir --ignore-fail-on-non-empty "$share/vcomd" "$etc/vcomd" 2>/dev/null || true
  [ -n "$dest" ] || ! command -v systemctl >/dev/null || systemctl daemon-reload 2>/dev/null || true
  ;;
*)
  echo "usage: $0 install|uninstall" >&2
  exit 2
  ;;
esac
