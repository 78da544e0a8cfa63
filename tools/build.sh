#!/usr/bin/env bash
# Configures and builds into build/ (Release, Ninja): everything, or the targets given.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
echo "build: ninja -C build $*"
begin=$SECONDS
quiet=--quiet
[ -t 1 ] && quiet=  # a terminal shows ninja's own progress line
if ! ninja -C build $quiet "$@"; then
  echo "build: error: see above" >&2
  exit 1
fi
echo "build: done in $((SECONDS - begin)) s"
