#!/usr/bin/env bash
# Fuzzes the readers of foreign bytes (tests/fuzz): tools/fuzz.sh [SECONDS EACH, default 60] [TARGET...]
# Builds what the targets named need, a few minutes the first time for one of text or io. The corpus in
# build-fuzz/corpus grows from run to run. An input that breaks a reader is left in build-fuzz/found; run the target's
# program with that file to see it again.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
tools/setup.sh tools/packages-clang.txt
build=build-fuzz
cmake -S . -B $build -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=None -DLATHE_PCH=OFF -DCMAKE_CXX_FLAGS=-O1 \
  -DLATHE_SANITIZE=address,undefined -DLATHE_FUZZ=ON -DLATHE_TESTS=OFF >/dev/null
targets=("$@")
[ $# -gt 0 ] || for source in tests/fuzz/*_fuzz.cc; do targets+=("$(basename "$source" _fuzz.cc)"); done
ninja -C $build "${targets[@]/%/_fuzz}"

mkdir -p $build/found
export UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$PWD/tools/lsan.supp:print_suppressions=0
# Readers of files get theirs in memory where the machine can.
if [ -d /dev/shm ]; then export TMPDIR=/dev/shm; fi
failed=()
for target in "${targets[@]}"; do
  echo "fuzz: $target for $seconds s"
  mkdir -p "$build/corpus/$target"
  "$build/${target}_fuzz" seeds "$build/seeds/$target"
  "$build/${target}_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
    -max_len=8192 -print_final_stats=1 -verbosity=0 -artifact_prefix="$build/found/$target-" \
    "$build/corpus/$target" "$build/seeds/$target" || failed+=("$target")
done
[ ${#failed[@]} -eq 0 ] || { echo "fuzz: error: findings in ${failed[*]}; see $build/found" >&2; exit 1; }
echo "fuzz: nothing found"
