#!/usr/bin/env bash
# Installs the Debian packages of tools/packages.txt, or of the list given, that are missing. Does nothing when all
# are there.
set -euo pipefail
cd "$(dirname "$0")/.."

list=${1:-tools/packages.txt}
mapfile -t wanted < <(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$list")

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "setup: all ${#wanted[@]} packages of $list are installed"
  exit 0
fi

echo "setup: installing ${#missing[@]} of the ${#wanted[@]} packages in $list: ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  echo "setup: error: there is no apt-get here; install what corresponds to these packages with your system's tool" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup: error: installing needs root, and there is no sudo. Run as root:" >&2
    echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$log" 2>&1
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The package lists of a fresh machine are absent or old: fetch them when the first try fails.
if ! install; then
  "${as_root[@]}" apt-get update -qq
  install || { tail -n 20 "$log" >&2; echo "setup: error: apt-get could not install the packages, see above" >&2; exit 1; }
fi
echo "setup: done"
