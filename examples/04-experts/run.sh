#!/usr/bin/env bash
# A dense model beside one with sixteen experts that costs as much a token: run.sh [FOLDER]
source "$(dirname "$0")/../common.sh"
shard_fortunes data 1024
at_once train recipe.toml dense -- train recipe.toml experts --model.moe.num_experts=16
build/lathe plot "$out/dense" "$out/experts" --x flops --label dense --label '16 experts, 2 a token' \
  --out "$out/loss.svg" --title 'Validation loss over training FLOPs'
