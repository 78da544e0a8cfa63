#!/usr/bin/env bash
# Which abilities a model of one million parameters learns in minutes: for each kind of generated task it is trained on
# made items, a control on the same items with the targets of others, and both are asked items that neither has seen.
#   examples/abilities/run.sh [FOLDER, default runs/abilities] [KIND:SIZE …, default induction:8 addition:3]
# docs/abilities.md shows what came of it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
lathe=${LATHE:-$root/build/lathe}
out=${1:-runs/abilities}
shift || true
kinds=("$@")
[ $# -gt 0 ] || kinds=(induction:8 addition:3)
items=${ITEMS:-100000}
steps=${STEPS:-1500}

# What is trained on: the files FOLDER/PART*.jsonl. Of induction one token in ten says anything; copying asks for the same
# look-up at every word, so texts of it stand beside.
make_texts() {
  local kind=$1 size=$2 part=$3
  shift 3
  "$lathe" eval make "$kind" --size "$size" --items "$items" --seed 1 --as text "$@" --out "$part.jsonl"
  [ "$kind" = induction ] || return 0
  "$lathe" eval make copy --sizes 4..10 --items "$items" --seed 3 --as text "$@" --out "$part-copies.jsonl"
}

make_kind() {
  local kind=$1 size=$2 folder=$3
  mkdir -p "$folder"
  # Items of another seed to ask, without those that are also trained on.
  "$lathe" eval make "$kind" --size "$size" --items "$items" --seed 1 --out "$folder/seen.jsonl"
  "$lathe" eval make "$kind" --size "$size" --items 2000 --seed 2 --out "$folder/made.jsonl"
  awk 'NR == FNR { seen[$0]; next } !($0 in seen) && n++ < 1000' "$folder/seen.jsonl" "$folder/made.jsonl" >"$folder/asked.jsonl"
  sed -e 's/^name = .*/name = "'"$kind"'"/' -e 's/^data = .*/data = "asked.jsonl"/' "$folder/made.toml" >"$folder/asked.toml"
  make_texts "$kind" "$size" "$folder/train"
  make_texts "$kind" "$size" "$folder/control" --shuffled
  # Digits stay tokens of their own, a blank and a letter become one.
  [ -d "$folder/tokenizer" ] || "$lathe" tokenizer train "$folder"/train*.jsonl --vocab-size 300 --pattern qwen2 \
    --special-token '<|endoftext|>' --out "$folder/tokenizer"
  for part in train control; do
    "$lathe" shard "$folder/$part"*.jsonl --tokenizer "$folder/tokenizer" --out "$folder/$part" --val-fraction 0.01
  done
}

for each in "${kinds[@]}"; do
  kind=${each%%:*} size=${each##*:} folder=$out/${each%%:*}
  [ -f "$folder/control.idx" ] || make_kind "$kind" "$size" "$folder"
  for part in train control; do
    run=$folder/run-$part
    [ -d "$run/model" ] || "$lathe" train "$here/recipe.toml" --data.train="$folder/$part" --data.valid="$folder/$part-valid" \
      --data.tokenizer="$folder/tokenizer" --eval.tasks="$folder/asked.toml" --train.steps="$steps" --train.out="$run" --resume
    [ -f "$folder/scores-$part/results.json" ] || "$lathe" eval "$run/model" --tasks "$folder/asked.toml" --out "$folder/scores-$part"
  done
  echo "$kind of size $size: the control, and what learning changed"
  "$lathe" eval diff "$folder/scores-control" "$folder/scores-train"
done
