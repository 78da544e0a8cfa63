#!/usr/bin/env bash
# Builds with a sanitizer (clang, a build folder of its own) and runs the tests under it.
#   tools/sanitize.sh address [FOLDER...] [CTEST ARGUMENT...]   AddressSanitizer, LeakSanitizer, UndefinedBehaviorSanitizer
#   tools/sanitize.sh thread [FOLDER...] [CTEST ARGUMENT...]    ThreadSanitizer
# FOLDERs of tests/ (`kernels text`) build and run these alone; without one, everything. Arguments from the first that
# begins with a dash go to ctest; without any those labelled slow are left out (`-L slow`, `-R SUITE` choose others).
#
# Neither finds memory that is read before it is written, since tensors get theirs back from one another: here all of
# it holds NaN at first (tensor/storage.cc).
#
# GCC's OpenMP library is not instrumented, so that ThreadSanitizer sees races where its barriers are. LLVM's tells
# it about them through Archer; oneDNN, which was built for GCC's, finds the same functions in LLVM's.
set -euo pipefail
cd "$(dirname "$0")/.."
usage() {
  echo "usage: tools/sanitize.sh address|thread [FOLDER OF tests/...] [CTEST ARGUMENT...]" >&2
  exit 2
}
kind=${1:-address}
shift || true
case $kind in
  address) sanitize=address,undefined ;;
  thread) sanitize=thread ;;
  *) usage ;;
esac
folders=()
while [ $# -gt 0 ] && [[ $1 != -* ]]; do
  [ -f "tests/$1/CMakeLists.txt" ] || usage
  folders+=("tests/$1")
  shift
done
[ $# -gt 0 ] || set -- -LE '^slow$'

tools/setup.sh tools/packages-clang.txt
build=build-$kind
cmake -S . -B "$build" -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=None -DLATHE_PCH=OFF \
  -DCMAKE_CXX_FLAGS="-O1 -DLATHE_SPOIL_MEMORY" -DLATHE_SANITIZE=$sanitize >/dev/null
ninja -C "$build" "${folders[@]/%//all}"

export OMP_WAIT_POLICY=passive
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$PWD/tools/lsan.supp:print_suppressions=0
export TSAN_OPTIONS=ignore_noninstrumented_modules=1
if [ $kind = thread ]; then
  # Beside the libraries of the LLVM that this clang belongs to.
  OMP_TOOL_LIBRARIES=$(dirname "$(dirname "$(readlink -f "$(command -v clang++)")")")/lib/libarcher.so
  [ -f "$OMP_TOOL_LIBRARIES" ] || { echo "sanitize: error: no $OMP_TOOL_LIBRARIES; install libomp-dev" >&2; exit 1; }
  export OMP_TOOL_LIBRARIES OMP_NUM_THREADS=4
fi
[ ${#folders[@]} -gt 0 ] || folders=(tests)
failed=0
for folder in "${folders[@]}"; do
  ctest --test-dir "$build/$folder" -j2 --output-on-failure "$@" || failed=1
done
exit $failed
