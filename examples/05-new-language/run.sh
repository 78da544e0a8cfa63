#!/usr/bin/env bash
# An English model learns Chinese, with its old tokenizer and with 1,024 Chinese pieces more: run.sh [FOLDER]
source "$(dirname "$0")/../common.sh"
tools/setup.sh "$example/packages.txt"
shard_fortunes data 1024

# Every line that has Chinese in it, without the commands of the typesetter, once; a document for each page.
chinese=runs/examples/chinese
if [ ! -e "$chinese.txt" ]; then
  find /usr/share/man/zh_CN -type f -name '*.gz' | LC_ALL=C sort | while read -r page; do
    zcat "$page" | sed -E "/^[.']/d"'; s/\\f(\[[^]]*\]|\(..|.)//g; s/\\[&,/|^]//g; s/\\-/-/g; s/\\[(*](\(..|..)//g'
    echo %
  done | LC_ALL=C.UTF-8 grep -P '^%$|\p{Han}.*\p{Han}' | awk '$0 == "%" || !seen[$0]++' >"$chinese.tmp"
  mv "$chinese.tmp" "$chinese.txt"
fi
if [ ! -e "$chinese-tokenizer" ]; then
  LC_ALL=C tr -s '\001-\177' '\n' <"$chinese.txt" >"$chinese-only.txt"  # an English piece would compete with old ones
  build/lathe tokenizer extend runs/examples/data-tokenizer --text "$chinese-only.txt" --add 1024 --out "$chinese-tokenizer"
fi
# shard TEXT TOKENIZER NAME: runs/examples/NAME and NAME-valid.
shard() {
  local data=runs/examples/$3
  [ -e "$data.manifest.json" ] || build/lathe shard "$1" --tokenizer "$2" --out "$data" --split separator --val-fraction 0.05
}
shard "$chinese.txt" runs/examples/data-tokenizer chinese
shard "$chinese.txt" "$chinese-tokenizer" chinese-extended
shard /usr/share/games/fortunes "$chinese-tokenizer" data-extended

train recipe.toml english
build/lathe convert "$out/english/model" --tokenizer "$chinese-tokenizer" --out "$out/grown/model" --overwrite
build/lathe convert "$out/english/model" --vocab-size 2048 --out "$out/mean/model" --overwrite  # beside it: no pieces
# Fewer steps with the larger vocabulary, for as many FLOPs.
extended=(--train.steps=1030 --data.train="['$chinese-extended', 'runs/examples/data-extended:0.25']"
  --data.valid="$chinese-extended-valid" --data.tokenizer="$chinese-tokenizer")
at_once train chinese.toml old --model.from="$out/english/model" \
  -- train chinese.toml extended --model.from="$out/grown/model" "${extended[@]}"
train chinese.toml extended-mean --model.from="$out/mean/model" "${extended[@]}"

for name in english grown old extended extended-mean; do
  kind=-extended
  [[ $name = english || $name = old ]] && kind=
  for text in chinese data; do
    printf '%-14s on %-8s' $name $text
    build/lathe --threads 1 eval "$out/$name/model" --data "runs/examples/$text$kind-valid" --seq-len 128 --samples 0 \
      --out "$out/$name-$text.json" 2>&1 | grep 'bits per byte'
  done
done
build/lathe plot "$out"/{extended,extended-mean,old} --x flops --y bits_per_byte --out "$out/loss.svg" \
  --label 'extended, mean of the pieces' --label 'extended, mean of all' --label 'old tokenizer' --title 'Chinese, bits per byte'
