# Sourced by each example's run.sh. Sets up and builds what is missing, and gives
#   $example, $out    the example's folder; where its runs go: the first argument, or runs/examples/NAME
#   shard_fortunes    the fortunes as tokens
#   train             a run on one core
#   at_once           two commands side by side
# What is there already is not made again, and a run that was cut short goes on; so to begin anew after a change, give
# another folder.
set -euo pipefail
example=$(cd "$(dirname "$0")" && pwd)
cd "$example/../.."
out=${1:-runs/examples/$(basename "$example")}
mkdir -p "$out"
tools/setup.sh
tools/build.sh lathe

# shard_fortunes NAME VOCABULARY: runs/examples/NAME and NAME-valid, and their tokenizer in NAME-tokenizer.
shard_fortunes() {
  local text=/usr/share/games/fortunes data=runs/examples/$1
  [ -e "$data.manifest.json" ] && return
  find "$text" -type f ! -name '*.*' -print0 | sort -z | xargs -0 build/lathe tokenizer train \
    --vocab-size "$2" --special-token '<|endoftext|>' --out "$data-tokenizer"
  build/lathe shard "$text" --tokenizer "$data-tokenizer" --out "$data" --split separator --val-fraction 0.05
}

# train RECIPE NAME OVERRIDES...: into $out/NAME. One thread: products as small as these do not gain from two.
train() {
  build/lathe --threads 1 train "$example/$1" --resume --train.out="$out/$2" "${@:3}"
}

# at_once COMMAND... -- COMMAND...: the first in sight, the second beside it with its messages in $out/beside.log.
at_once() {
  local first=()
  while [ "$1" != -- ]; do
    first+=("$1")
    shift
  done
  local failed=0
  "${@:2}" 2>"$out/beside.log" &
  "${first[@]}" || failed=1
  wait $! || { cat "$out/beside.log" >&2; failed=1; }
  return $failed
}
