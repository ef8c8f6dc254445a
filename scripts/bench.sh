#!/usr/bin/env bash
# Builds and runs the bench, which compares bin/vcomd with socat, gensiot, ser2net and bare loops. Arguments go to it: --quick,
# --only NAMES, --reps N, --seconds S; --help lists them. BENCHFLAGS does the same for `make bench`.
set -euo pipefail
cd "$(dirname "$0")/.."
bench=$(mktemp -d)
trap 'rm -rf "$bench"' EXIT
go build -o "$bench/bench" ./test/bench
# shellcheck disable=SC2086 # several flags in one variable
"$bench/bench" ${BENCHFLAGS:-} "$@"
