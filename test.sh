#!/usr/bin/env bash
# Installs what is missing, builds everything and runs the tests.
#   ./test.sh         all tests
#   ./test.sh fast    only those labelled fast
set -euo pipefail
cd "$(dirname "$0")"
case "${1:-all}" in
  all) selection=() ;;
  fast) selection=(-L '^fast$') ;;
  *) echo "usage: ./test.sh [fast]" >&2; exit 2 ;;
esac
tools/setup.sh
tools/build.sh
# Several test programs share the cores: threads that spin while they wait would slow the others down.
export OMP_WAIT_POLICY=passive
exec ctest --test-dir build -j2 --output-on-failure --progress "${selection[@]}"
