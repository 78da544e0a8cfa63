#!/usr/bin/env bash
# Sums, answered at once and in steps, learnt from examples and then by reinforcement: run.sh [FOLDER] [SEED...]
source "$(dirname "$0")/../common.sh"
seeds=("${@:2}")
[ ${#seeds[@]} -gt 0 ] || seeds=(1 2 3)

# The 1,521 sums of two numbers from 2 to 40, in an order that a seed gives. The first 200 are never learnt from.
# rows COT FIRST LAST: them as rows. With COT=1 the completion adds digit by digit before it says the sum.
data=runs/examples/sums
rows() {
  awk 'BEGIN { srand(7); for (a = 2; a <= 40; a++) for (b = 2; b <= 40; b++) print rand(), a, b }' | LC_ALL=C sort -k1,1 |
    awk -v cot="$1" -v first="$2" -v last="$3" 'NR >= first && NR <= last {
      ones = $2 % 10 + $3 % 10; carry = int(ones / 10)
      tens = int($2 / 10) + int($3 / 10) + carry
      steps = $2 % 10 "+" $3 % 10 "=" ones ";" int($2 / 10) "+" int($3 / 10) (carry ? "+1" : "") "=" tens ";"
      printf "{\"prompt\": \"%d+%d=\", \"completion\": \"%s%d\", \"answer\": \"%d\"}\n", $2, $3, cot ? steps : "", $2 + $3, $2 + $3
    }'
}
if [ ! -e $data/tokenizer ]; then
  mkdir -p $data
  for kind in direct cot; do
    cot=$([ $kind = cot ] && echo 1 || echo 0)
    rows "$cot" 1 200 >$data/$kind-valid.jsonl
    rows "$cot" 801 1521 >$data/$kind-prompts.jsonl
  done
  rows 0 201 800 >$data/direct-sft.jsonl
  rows 1 201 350 >$data/cot-sft.jsonl
  echo '0123456789+=;' >$data/characters.txt
  build/lathe tokenizer train $data/characters.txt --model char --vocab-size 16 --character-coverage 1 \
    --special-token '<|endoftext|>' --out $data/tokenizer
fi

# life KIND SEED STEPS STEPS: so many of each stage.
life() {
  local name=$1-$2
  train sft.toml "$name-sft" --train.seed="$2" --train.steps="$3" --data.train="$data/$1-sft.jsonl" --data.valid="$data/$1-valid.jsonl"
  train grpo.toml "$name" --train.seed="$2" --train.steps="$4" --model.from="$out/$name-sft/model" \
    --data.train="$data/$1-prompts.jsonl" --data.valid="$data/$1-valid.jsonl"
}
# In steps there is more to a row: 150 rows bring it as far as 600 without, and fewer answers teach it.
for seed in "${seeds[@]}"; do
  at_once life direct "$seed" 400 1000 -- life cot "$seed" 120 400
done

curves=() labels=()
for kind in cot direct; do
  for seed in "${seeds[@]}"; do
    curves+=("$out/$kind-$seed")
    labels+=(--label "$([ $kind = cot ] && echo 'in steps' || echo 'at once')")
  done
done
band=()
[ ${#seeds[@]} -lt 2 ] || band=(--band)
build/lathe plot "${curves[@]}" "${labels[@]}" "${band[@]}" --y val_reward --out "$out/exact-match.svg" \
  --title 'Exact match on sums that were never seen'
