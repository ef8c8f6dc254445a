#!/usr/bin/env bash
# Builds Debian and RPM packages into dist/ (OUT). VERSION, ARCHES ("amd64 arm64 arm") and FORMATS ("deb rpm") can be said; NFPM is
# a command instead of the nfpm that go run fetches.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${OUT:-dist}
read -ra nfpm <<<"${NFPM:-go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0}"

# The version is the tag's, or sorts before the first release.
if [ -z "${VERSION:-}" ]; then
  VERSION=$(git describe --tags --match 'v[0-9]*' 2>/dev/null || git log -1 --date=format:%Y%m%d --format='0.0.0-git%cd.%h' 2>/dev/null || echo 0.0.0-unknown)
  VERSION=${VERSION#v}
fi
# The same commit gives the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export VERSION SOURCE_DATE_EPOCH

mkdir -p "$out"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

# The pages and completions are the same for all architectures, printed by one that runs here.
flags="-s -w -X github.com/vcomd/vcomd/internal/version.packaged=$VERSION"
go build -trimpath -ldflags="$flags" -o "$stage/here" ./cmd/vcomd
for page in vcomd.1 vcomd.toml.5; do "$stage/here" man "$page" | gzip -9n >"$stage/$page.gz"; done
for shell in bash zsh fish; do "$stage/here" completion "$shell" >"$stage/vcomd.$shell"; done

for arch in ${ARCHES:-amd64 arm64 arm}; do
  export STAGE=$stage/$arch ARCH=$arch
  [ "$arch" != arm ] || ARCH=arm6 # Debian's armhf, and RPM's armv6hl
  mkdir -p "$STAGE"
  CGO_ENABLED=0 GOOS=linux GOARCH=$arch GOARM=6 go build -trimpath -ldflags="$flags" -o "$STAGE/vcomd" ./cmd/vcomd
  cp "$stage"/*.gz "$stage"/vcomd.{bash,zsh,fish} "$STAGE"
  for format in ${FORMATS:-deb rpm}; do
    "${nfpm[@]}" package --config packaging/nfpm.yaml --packager "$format" --target "$out"
  done
done
