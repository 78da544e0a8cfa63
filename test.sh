#!/usr/bin/env bash
# Installs what is missing, builds everything and runs the tests.
#   ./test.sh         all tests
#   ./test.sh fast    only those labelled fast, less than a minute
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
failed=0
ctest --test-dir build -j2 --output-on-failure --progress "${selection[@]}" || failed=$?
# A suite passes although some of its tests were skipped.
awk '/: Skipped$/ { getline; reasons[$0]++ } END { for (reason in reasons) print "test: skipped " reasons[reason] ": " reason }' \
  build/Testing/Temporary/LastTest.log
exit $failed
