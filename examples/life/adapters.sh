#!/usr/bin/env bash
# Every kind of adapter on one task, beside full tuning: adapters.sh [FOLDER]. Runs after run.sh dense.
# STEPS and ROWS (of a step) make it shorter: STEPS=60 ROWS=16 adapters.sh runs/life/adapters-short
# The base has read stories and instructions as plain text; here it learns to answer English instructions.
set -- "${1:-runs/life/adapters}"
source "$(dirname "$0")/../common.sh"
steps=${STEPS:-150} rows=runs/life/data base=runs/life/dense/1-pretrain/model
[ -e $base ] || { echo "adapters: there is no $base yet; run examples/life/run.sh dense first" >&2; exit 1; }

# tune NAME LEARNING-RATE OVERRIDES...: with a rate for each kind, since what suits all weights hardly moves a vector.
tune() {
  local name=$1
  [ -e "$out/$name/adapter" ] || [ -e "$out/$name/model" ] ||
    build/lathe --threads 1 sft $base $rows/english-train.jsonl --data.valid=$rows/english-valid.jsonl --data.replay_valid="['text=$rows/text-valid']" \
      --train.out="$out/$name" --train.steps="$steps" --train.batch_size="${ROWS:-32}" --train.seq_len=256 --train.eval_on_start=true --train.eval_every=0 \
      --train.eval_samples=0 --train.checkpoint_every=0 --optim.lr="$2" "${@:3}" --resume --json >"$out/$name.json"
}
linear=(--adapter.target_modules=all-linear)
tune full 1e-3
tune full-small-rate 1e-4
tune lora-r1 5e-3 --adapter.peft_type=LORA --adapter.r=1 --adapter.lora_alpha=2 "${linear[@]}"
tune lora-r8 5e-3 --adapter.peft_type=LORA --adapter.r=8 --adapter.lora_alpha=16 "${linear[@]}"
tune lora-r64 5e-3 --adapter.peft_type=LORA --adapter.r=64 --adapter.lora_alpha=128 "${linear[@]}"
tune lora-r64-rs 5e-3 --adapter.peft_type=LORA --adapter.r=64 --adapter.lora_alpha=16 --adapter.use_rslora=true "${linear[@]}"
tune lora-r8-qv 5e-3 --adapter.peft_type=LORA --adapter.r=8 --adapter.lora_alpha=16 --adapter.target_modules='["q_proj", "v_proj"]'
tune lora-r8-mlp 5e-3 --adapter.peft_type=LORA --adapter.r=8 --adapter.lora_alpha=16 \
  --adapter.target_modules='["gate_proj", "up_proj", "down_proj"]'
tune dora-r8 5e-3 --adapter.peft_type=LORA --adapter.r=8 --adapter.lora_alpha=16 --adapter.use_dora=true "${linear[@]}"
tune pissa-r8 1e-3 --adapter.peft_type=LORA --adapter.r=8 --adapter.lora_alpha=8 --adapter.init_lora_weights=pissa "${linear[@]}"
tune qlora-r8 5e-3 --model.quantization=nf4 --adapter.peft_type=LORA --adapter.r=8 --adapter.lora_alpha=16 "${linear[@]}"
tune adalora 5e-3 --adapter.peft_type=ADALORA --adapter.init_r=12 --adapter.target_r=8 --adapter.tinit=$((steps / 8)) --adapter.tfinal=$((steps / 3)) \
  --adapter.deltaT=5 --adapter.total_step="$steps" --adapter.lora_alpha=16 "${linear[@]}"
tune miss-r8 1e-3 --adapter.peft_type=MISS --adapter.r=8 "${linear[@]}"
tune loha-r8 5e-3 --adapter.peft_type=LOHA --adapter.r=8 --adapter.alpha=16 "${linear[@]}"
tune lokr-r8 5e-3 --adapter.peft_type=LOKR --adapter.r=8 --adapter.alpha=16 "${linear[@]}"
tune vera-r64 2e-2 --adapter.peft_type=VERA --adapter.r=64 "${linear[@]}"
tune oft 2e-3 --adapter.peft_type=OFT --adapter.oft_block_size=16 "${linear[@]}"
tune ia3 2e-2 --adapter.peft_type=IA3 --adapter.target_modules='["k_proj", "v_proj", "down_proj"]' --adapter.feedforward_modules='["down_proj"]'
tune ln-tuning 1e-2 --adapter.peft_type=LN_TUNING --adapter.target_modules='["input_layernorm", "post_attention_layernorm", "norm"]'
tune bottleneck 3e-3 --adapter.peft_type=BOTTLENECK --adapter.target_modules='["o_proj", "down_proj"]'
tune prompt-20 3e-2 --adapter.peft_type=PROMPT_TUNING --adapter.num_virtual_tokens=20
tune p-tuning-20 3e-3 --adapter.peft_type=P_TUNING --adapter.num_virtual_tokens=20 --adapter.encoder_hidden_size=128
tune prefix-20 1e-2 --adapter.peft_type=PREFIX_TUNING --adapter.num_virtual_tokens=20

{
  echo '| | numbers trained | loss of answers | loss of the old text | ms a step | memory |'
  echo '|---|---|---|---|---|---|'
  for file in "$out"/*.json; do
    name=$(basename "$file" .json)
    jq -rs --arg name "$name" --slurpfile run "$file" '
      (map(select(has("val_loss")) | .val_loss) | last) as $loss
      | (map(select(has("old_loss.text")) | .["old_loss.text"]) | last) as $old
      | (map(select(has("step_ms")) | .step_ms) | sort | .[length / 2 | floor]) as $ms
      | [$name, ($run[0].trained_parameters), ($loss * 1000 | round / 1000), ($old * 1000 | round / 1000), ($ms | round), (($run[0].peak_memory_mib | round | tostring) + " MiB")]
      | "| " + (map(tostring) | join(" | ")) + " |"' "$out/$name/metrics.jsonl"
  done
} | tee "$out/table.md"
