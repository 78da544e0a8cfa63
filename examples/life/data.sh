#!/usr/bin/env bash
# Makes the rows of every stage from public data: data.sh DATA OUT. Run by run.sh.
# Each set is split before anything is learnt: *-valid rows and prompts are never trained on.
set -euo pipefail
data=$1 out=$2
mkdir -p "$out"

# unpacked FILE: its rows, one a line, whether it is a JSON array or JSON lines.
unpacked() {
  local cat=cat
  [[ $1 = *.zst ]] && cat=zstdcat
  $cat "$1" | jq -c 'if type == "array" then .[] else . end'
}

# split NAME COUNT: the first COUNT rows of standard input are held out.
split() {
  awk -v count="$2" -v name="$out/$1" '{ print > (NR <= count ? name "-valid.jsonl" : name "-train.jsonl") }'
}

# Instructions with short answers: English (Stanford Alpaca), Chinese.
short() {
  jq -c --argjson longest "$1" 'select((.output | length) >= 2 and (.output | length) <= $longest and (.instruction + .input | length) <= $longest)
    | {instruction, input, output}'
}
unpacked "$data/sft/stanford_alpaca/alpaca_data.jsonl.zst" | short 160 | awk 'NR <= 9000' | split english 200
unpacked "$data/sft/alpaca_chinese/alpaca_zh_translated.jsonl.zst" | jq -c '{instruction, input, output}' | short 60 | awk 'NR <= 4200' | split chinese 200

# Who the assistant is, for an adapter: 91 rows, of which 20 are held out.
unpacked "$data/sft/llamafactory/identity.json" | sed 's/{{name}}/Lathe/g; s/{{author}}/its makers/g' | awk 'NR % 4 == 1' | awk 'NR <= 20' >"$out/identity-valid.jsonl"
unpacked "$data/sft/llamafactory/identity.json" | sed 's/{{name}}/Lathe/g; s/{{author}}/its makers/g' | awk 'NR % 4 != 1' >"$out/identity-train.jsonl"

# A polite and a rude answer to the same request.
unpacked "$data/preference/llms_from_scratch/instruction-data-with-preference.json.zst" |
  jq -c '{prompt: [{role: "user", content: ([.instruction, .input] | map(select(. != "")) | join("\n\n"))}],
          chosen: [{role: "assistant", content: .chosen}], rejected: [{role: "assistant", content: .rejected}]}' |
  split polite 150
# Chinese pairs that people ranked, or a model.
{
  unpacked "$data/preference/oasst/oaast_rm_zh.json.zst" | jq -c '{prompt: (.instruction + .input), chosen: .output[0], rejected: .output[1]}'
  unpacked "$data/preference/medicalgpt/dpo_zh_500.jsonl.zst" | jq -c '{prompt: .conversations[0].value, chosen, rejected}'
} | jq -c 'select((.prompt | length) <= 120 and (.chosen | length) <= 200 and (.rejected | length) <= 200)
    | {prompt: [{role: "user", content: .prompt}], chosen: [{role: "assistant", content: .chosen}], rejected: [{role: "assistant", content: .rejected}]}' |
  split chinese-pairs 80
for part in train valid; do
  jq -c '{prompt}' "$out/polite-$part.jsonl" >"$out/requests-$part.jsonl"
done

# problems FROM TO OPERATOR: "A B RESULT", each once, in an order that a seed gives.
problems() {
  awk -v from="$1" -v to="$2" -v op="$3" 'BEGIN {
    srand(11)
    for (a = from; a <= to; a++) for (b = from; b <= to; b++) print rand(), a, b, (op == "*" ? a * b : a + b)
  }' | LC_ALL=C sort -k1,1 | cut -d' ' -f2-
}

# Sums, answered at once. 100 are held out, 400 are shown with their answers, and the others are only asked.
sum_rows() { awk '{printf "{\"prompt\": [{\"role\": \"user\", \"content\": \"%d+%d=?\"}], \"completion\": [{\"role\": \"assistant\", \"content\": \"%d\"}], \"answer\": \"%d\"}\n", $1, $2, $3, $3}'; }
problems 2 30 + | sum_rows >"$out/sums.jsonl"
head -100 "$out/sums.jsonl" >"$out/sums-valid.jsonl"
sed -n 101,500p "$out/sums.jsonl" >"$out/sums-train.jsonl"
sed -n '501,$p' "$out/sums.jsonl" | jq -c 'del(.completion)' >"$out/sums-prompts.jsonl"

# Products, which such a model cannot work out: a third of the examples asks the calculator, the others only say the result.
calculator='{"type":"function","function":{"name":"calculator","description":"Computes the value of an arithmetic expression.","parameters":{"type":"object","properties":{"expression":{"type":"string","description":"numbers, + - * / % ** and parentheses"}},"required":["expression"]}}}'
problems 11 60 '*' >"$out/products.txt"
product_rows() {
  awk -v tools="$calculator" '{
    ask = sprintf("{\"role\": \"user\", \"content\": \"%d*%d=?\"}", $1, $2)
    say = sprintf("{\"role\": \"assistant\", \"content\": \"%d\"}", $3)
    call = sprintf("{\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [{\"type\": \"function\", \"function\": {\"name\": \"calculator\", \"arguments\": {\"expression\": \"%d*%d\"}}}]}", $1, $2)
    printf "{\"messages\": [%s, %s%s], \"tools\": [%s]}\n", ask, NR % 3 == 0 ? call ", {\"role\": \"tool\", \"content\": \"" $3 "\"}, " : "", say, tools
  }'
}
product_prompts() { awk '{printf "{\"prompt\": [{\"role\": \"user\", \"content\": \"%d*%d=?\"}], \"answer\": \"%d\"}\n", $1, $2, $3}'; }
sed -n 101,1400p "$out/products.txt" | product_rows >"$out/products-train.jsonl"
sed -n 1401,1500p "$out/products.txt" | product_rows >"$out/tools-valid.jsonl"
head -100 "$out/products.txt" | product_prompts >"$out/products-valid.jsonl"
sed -n '1501,$p' "$out/products.txt" | product_prompts >"$out/products-prompts.jsonl"

# What a call looks like, so that the tokenizer has tokens for it.
for _ in {1..200}; do jq -r '.tools[0] | tojson' <(head -1 "$out/products-train.jsonl") | sed 's/":/": /g; s/,"/, "/g'; done >"$out/calls.txt"

# The text of pretraining: stories, Chinese prose, and the instructions as plain text.
{
  zstdcat "$data/text/tinystories/tinystories_cased_2MB.txt.zst" | sed 's/<|endoftext|>/\n%\n/g'
  for book in 世说新语 战国策 孟子 梦溪笔谈; do
    zstdcat "$data/text/chinese_modern_translation/$book.modern.txt.zst"
    echo %
  done
  cat "$out/english-train.jsonl" "$out/chinese-train.jsonl" |
    jq -r '([.instruction, .input, .output] | map(select(. != "")) | join("\n")) + "\n%"'
} >"$out/text.tmp"
mv "$out/text.tmp" "$out/text.txt"
