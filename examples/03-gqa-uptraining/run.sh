#!/usr/bin/env bash
# Eight key/value heads become two, or one, and are trained for a little longer: run.sh [FOLDER]
source "$(dirname "$0")/../common.sh"
shard_fortunes data 1024
train recipe.toml mha
build/lathe convert "$out/mha/model" --out "$out/gqa/model" --kv-heads 2 --overwrite
build/lathe convert "$out/mha/model" --out "$out/mqa/model" --kv-heads 1 --overwrite
at_once train uptrain.toml gqa-trained --model.from="$out/gqa/model" \
  -- train uptrain.toml mqa-trained --model.from="$out/mqa/model"
train uptrain.toml mha-trained --model.from="$out/mha/model"  # what the steps alone give
build/lathe plot "$out"/{gqa,mqa,mha}-trained --level "$out/mha" --level-label 'MHA before' \
  --label GQA --label MQA --label MHA --out "$out/loss.svg" --title 'Validation loss, up-training'
