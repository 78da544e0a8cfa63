#!/usr/bin/env bash
# A thousand layers with the norm behind each branch, as in 2017 and with DeepNorm: run.sh [FOLDER]
source "$(dirname "$0")/../common.sh"
shard_fortunes bytes 257  # a token for each byte: what follows what is learnt in few steps
at_once train recipe.toml deepnorm -- train recipe.toml post --model.norm.placement=post
build/lathe plot "$out/deepnorm" "$out/post" --out "$out/loss.svg" --title 'Validation loss, 1,000 layers'
