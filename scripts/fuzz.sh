#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other, each for the time given.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-60s}
n=0
while IFS=: read -r file target; do
  dir=./$(dirname "$file")
  echo "fuzz: $dir $target for $time"
  go test -run '^$' -fuzz "^${target}\$" -fuzztime "$time" "$dir"
  n=$((n + 1))
done < <(git grep -oE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' | sed 's/func //')
echo "fuzz: $n targets, none failed"
