#!/usr/bin/env bash
# Trained on 64 tokens, read with 256: rotary positions, YaRN, ALiBi. run.sh [FOLDER]
source "$(dirname "$0")/../common.sh"
shard_fortunes data 1024
at_once train recipe.toml rope -- train recipe.toml alibi --model.position.kind=alibi
build/lathe convert "$out/rope/model" --out "$out/yarn/model" --context 256 --rope-scaling yarn --overwrite
train uptrain.toml yarn-trained --model.from="$out/yarn/model"
for name in rope yarn yarn-trained alibi; do
  build/lathe eval "$out/$name/model" --data runs/examples/data-valid --seq-len 256 --out "$out/$name.json"
done
build/lathe plot "$out"/{rope,yarn,yarn-trained,alibi}.json --x position --out "$out/positions.svg" \
  --label RoPE --label YaRN --label 'YaRN, 50 steps on 256' --label ALiBi --title 'Loss by position, trained on 64'
