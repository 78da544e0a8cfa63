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
# A terminal shows ninja's own progress line. Elsewhere a line of it is let through every ten seconds, and all that is
# not progress: what failed and why.
run_ninja() {
  if [ -t 1 ]; then
    ninja -C build "$@"
    return
  fi
  local shown=-10 mark=$'\x01' line
  NINJA_STATUS="$mark[%f of %t, %e s] " ninja -C build "$@" | while IFS= read -r line; do
    if [ "${line#"$mark"}" = "$line" ]; then
      printf '%s\n' "$line"
    elif [ $((SECONDS - shown)) -ge 10 ]; then
      printf 'build: %s\n' "${line#"$mark"}"
      shown=$SECONDS
    fi
  done
}
if ! run_ninja "$@"; then
  echo "build: error: see above" >&2
  exit 1
fi
echo "build: done in $((SECONDS - begin)) s"
