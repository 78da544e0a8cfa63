#!/usr/bin/env bash
# Sums, answered at once and in steps, learnt from examples and then by reinforcement: run.sh [FOLDER] [SEED...]
source "$(dirname "$0")/../common.sh"
seeds=("${@:2}")
[ ${#seeds[@]} -gt 0 ] || seeds=(1 2 3)

# 6,500 sums of two numbers of two digits, none twice; the first 500 are never learnt from.
# rows COT FIRST LAST: them as rows. With COT=1 the completion adds digit by digit before it says the sum.
data=runs/examples/sums
rows() {
  awk 'BEGIN {
         srand(7)
         while (n < 6500) {
           a = 10 + int(rand() * 90); b = 10 + int(rand() * 90)
           if (!seen[a, b]++) { n++; print a, b }
         }
       }' | awk -v cot="$1" -v first="$2" -v last="$3" 'NR >= first && NR <= last {
         ones = $1 % 10 + $2 % 10; carry = int(ones / 10)
         tens = int($1 / 10) + int($2 / 10) + carry
         steps = $1 % 10 "+" $2 % 10 "=" ones ";" int($1 / 10) "+" int($2 / 10) (carry ? "+1" : "") "=" tens ";"
         printf "{\"prompt\": \"%d+%d=\", \"completion\": \"%s%d\", \"answer\": \"%d\"}\n", $1, $2, cot ? steps : "", $1 + $2, $1 + $2
       }'
}
if [ ! -e $data/tokenizer ]; then
  mkdir -p $data
  rows 0 1 500 >$data/direct-valid.jsonl
  rows 0 501 2500 >$data/direct-sft.jsonl
  rows 0 2501 6500 >$data/direct-prompts.jsonl
  rows 1 1 500 >$data/cot-valid.jsonl
  rows 1 501 800 >$data/cot-sft.jsonl
  rows 1 2501 6500 >$data/cot-prompts.jsonl
  echo '0123456789+=;' >$data/characters.txt
  build/lathe tokenizer train $data/characters.txt --model char --vocab-size 16 --character-coverage 1 \
    --special-token '<|endoftext|>' --out $data/tokenizer
fi

# life KIND SEED OVERRIDES OF THE SFT...: both stages.
life() {
  local name=$1-$2
  train sft.toml "$name-sft" --train.seed="$2" --data.train="$data/$1-sft.jsonl" --data.valid="$data/$1-valid.jsonl" "${@:3}"
  train grpo.toml "$name" --train.seed="$2" --model.from="$out/$name-sft/model" \
    --data.train="$data/$1-prompts.jsonl" --data.valid="$data/$1-valid.jsonl"
}
# In steps there is more to a row: 300 rows and 200 steps bring it as far as 2,000 rows and 300 steps without.
for seed in "${seeds[@]}"; do
  at_once life direct "$seed" -- life cot "$seed" --train.steps=200 --train.batch_size=32
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
