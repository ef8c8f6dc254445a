#!/usr/bin/env bash
# Installs, from Debian's or Ubuntu's packages, the servers and programs that the tests drive.
# Does nothing when they are all there. With the argument vm: what make test-vm needs.
set -euo pipefail

packages=(
  gcc libc6-dev            # the bench's C splice loop
  gensio-bin ser2net sredird socat python3-serial openssl
  gpsd gpsd-clients minicom picocom tmux lrzsz mbpoll setserial
  iproute2 nftables        # networks of the tests' own
  mandoc                   # the manual pages
  systemd rpm              # systemd-analyze, and what is in a package
  zsh fish                 # complete vcomd's command line
  tshark                   # reads what vcomd monitor writes
  prometheus               # promtool, for the alert rules
)
# 32-bit programs under vcomd run.
[ "$(dpkg --print-architecture)" != amd64 ] || packages+=(gcc-multilib)
# Virtual machines. Their kernel is fetched by test/vm itself.
[ "${1:-}" != vm ] || packages=(qemu-system-x86 xz-utils mmdebstrap debian-archive-keyring kmod)

missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "deps: all ${#packages[@]} packages are installed"
  exit 0
fi

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "deps: not root and no sudo: install by hand: ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
echo "deps: installing ${missing[*]}"
# A package's service must not start by itself: the tests start their own, on ports of their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
  "${sudo[@]}" chmod +x "$policy"
  trap '"${sudo[@]}" rm -f "$policy"' EXIT
fi
"${sudo[@]}" apt-get -q update
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
