#!/usr/bin/env bash
# A model's whole life in eight stages, each of them minutes on two cores: run.sh [dense|experts] [FOLDER]
# DATA=DIR names the folder of public data whose files data.sh reads.
kind=${1:-dense}
[[ $kind = dense || $kind = experts ]] || { echo "usage: run.sh [dense|experts] [FOLDER]" >&2; exit 2; }
set -- "${2:-runs/life/$kind}"
source "$(dirname "$0")/../common.sh"
tools/setup.sh "$example/packages.txt"
public=${DATA:-../shared/data}
[ -d "$public" ] || { echo "life: there is no folder $public; DATA=DIR names another (examples/life/README.md lists its files)" >&2; exit 1; }

# Rows, tokenizer and shards: made once, for both kinds.
rows=runs/life/data
[ -e $rows/text.txt ] || "$example/data.sh" "$public" $rows
if [ ! -e $rows/tokenizer/chat_template.jinja ]; then
  build/lathe tokenizer train $rows/text.txt $rows/calls.txt --format text --split separator --vocab-size 4096 --pattern qwen2 \
    --special-token '<|end|>' --special-token '<|start|>' --special-token '<tool_call>' --special-token '</tool_call>' \
    --out $rows/tokenizer --overwrite
  cp "$example/chat_template.jinja" $rows/tokenizer/
fi
[ -e $rows/text-valid.manifest.json ] ||
  build/lathe shard $rows/text.txt --tokenizer $rows/tokenizer --out $rows/text --split separator --val-fraction 0.02 --val-by-content

# stage NAME COMMAND ARGUMENTS...: a run into $out/NAME, its seconds in $out/NAME.seconds and its page in $out/NAME.html.
# One that has ended is left alone.
stage() {
  local name=$1 begin=$SECONDS
  shift
  [ -e "$out/$name.html" ] && return
  echo "== $name: lathe $*" >&2
  build/lathe "$@" --train.out="$out/$name" --train.seq_len=256 --train.checkpoint_every=0 --train.eval_on_start=true --resume
  echo $((SECONDS - begin)) >"$out/$name.seconds"
  build/lathe report "$out/$name" --out "$out/$name.html"
}
model() { echo "$out/$1/model"; }
old=(--data.replay_valid="['text=$rows/text-valid']")   # what the model was before: the loss on text of its pretraining
answers=(--train.eval_samples=0 --train.eval_every=0)
rollouts=("${answers[@]}" --train.batch_size=128 --optim.lr=1e-4)

experts=()
[ $kind = dense ] || experts=(--model.moe.num_experts=8)
stage 1-pretrain train "$example/pretrain.toml" "${experts[@]}"
stage 2-sft sft "$(model 1-pretrain)" $rows/{english,chinese}-train.jsonl "${old[@]}" "${answers[@]}" \
  --data.valid="['english=$rows/english-valid.jsonl', 'chinese=$rows/chinese-valid.jsonl']" \
  --train.batch_size=32 --train.budget='1 epochs' --optim.lr=1e-3
stage 3-lora sft "$(model 2-sft)" $rows/identity-train.jsonl "${old[@]}" "${answers[@]}" --data.valid=$rows/identity-valid.jsonl \
  --train.steps=60 --train.batch_size=16 --optim.lr=3e-3 \
  --adapter.peft_type=LORA --adapter.r=8 --adapter.target_modules=all-linear

# Preferences: from the pairs at once, and by way of a model that scores answers.
stage 4-dpo dpo "$(model 2-sft)" $rows/polite-train.jsonl "${old[@]}" "${answers[@]}" --data.valid=$rows/polite-valid.jsonl \
  --train.batch_size=32 --train.budget='2 epochs' --optim.lr=3e-5
stage 5-reward reward "$(model 2-sft)" $rows/polite-train.jsonl "${answers[@]}" --data.valid=$rows/polite-valid.jsonl \
  --train.batch_size=32 --train.budget='2 epochs' --optim.lr=3e-4
stage 5-ppo ppo "$(model 2-sft)" $rows/requests-train.jsonl "${rollouts[@]}" --data.valid=$rows/requests-valid.jsonl \
  --reward.functions='["ended"]' --reward.model="['$(model 5-reward)']" --objective.critic="$(model 5-reward)" \
  --objective.max_completion_length=48 --objective.kl_coef=0.1 --optim.lr=5e-5 --train.steps=60

# Rewards that can be checked: a start from examples, and then its own answers to other sums.
stage 6-sums sft "$(model 2-sft)" $rows/sums-train.jsonl "${answers[@]}" --data.valid=$rows/sums-valid.jsonl \
  --train.steps=200 --train.batch_size=32 --optim.lr=1e-3
for loss in grpo cispo; do
  stage 6-$loss grpo "$(model 6-sums)" $rows/sums-prompts.jsonl "${rollouts[@]}" --data.valid=$rows/sums-valid.jsonl \
    --objective.max_completion_length=8 --objective.loss=$loss --train.steps=600
done

# A student of a third of the size, from labels alone and from what the teacher thinks of every token.
stage 7-student train "$example/pretrain.toml" --model.hidden_size=96 --model.intermediate_size=256 --model.num_attention_heads=3 \
  --model.num_key_value_heads=3 --train.steps=200
student=("$(model 7-student)" $rows/english-train.jsonl "${answers[@]}" --data.valid=$rows/english-valid.jsonl
  --train.batch_size=32 --train.budget='1 epochs' --optim.lr=1e-3)
stage 7-labels sft "${student[@]}"
stage 7-distill distill "${student[@]}" --objective.teacher="$(model 2-sft)" --objective.ce_weight=0.5

# A tool: a start from conversations, a third of which call it, and then whatever gives the right product.
stage 8-tools sft "$(model 2-sft)" $rows/products-train.jsonl "${answers[@]}" --data.valid=$rows/tools-valid.jsonl \
  --train.steps=250 --train.batch_size=32 --optim.lr=1e-3
stage 8-agent grpo "$(model 8-tools)" $rows/products-prompts.jsonl "${rollouts[@]}" --data.valid=$rows/products-valid.jsonl \
  --objective.tools='["calculator"]' --reward.functions='["exact_match", "tool_use"]' --reward.weights='[1, 0]' \
  --objective.max_completion_length=96 --objective.loss=dapo --train.steps=60

# row STAGE KEY WHAT: seconds, and a number of the first and the last validation.
row() {
  jq -rs --arg key "$2" --arg what "$3" --arg name "$1" --arg seconds "$(cat "$out/$1.seconds")" '
    map(select(has($key)) | .[$key]) | map(. * 1000 | round / 1000)
    | "| \($name) | \($seconds) s | \($what) | \(.[0]) | \(.[-1]) |"' "$out/$1/metrics.jsonl"
}
{
  echo '| stage | took | on what it has not learnt from | before | after |'
  echo '|---|---|---|---|---|'
  row 1-pretrain val_bits_per_byte 'bits a byte of text'
  row 2-sft val_loss 'loss of English answers, nats a token'
  row 2-sft val_loss.chinese 'loss of Chinese answers'
  row 2-sft old_loss.text 'loss of the old text'
  row 3-lora val_loss 'loss of answers about itself'
  row 3-lora old_loss.text 'loss of the old text'
  row 4-dpo val_rewards/accuracies 'polite answer preferred'
  row 4-dpo old_loss.text 'loss of the old text'
  row 5-reward val_accuracy 'polite answer scored higher'
  row 5-ppo val_rewards/model/mean 'score of its answers'
  row 5-ppo val_completions/mean_length 'tokens of its answers'
  row 6-grpo val_reward 'sums that are right'
  row 6-cispo val_reward 'sums that are right'
  row 7-labels val_loss 'loss of English answers, small student'
  row 7-distill val_nll 'the same, with the teacher'
  row 8-agent val_rewards/exact_match/mean 'products that are right'
  row 8-agent val_rewards/tool_use/mean 'products with a call that worked'
} | tee "$out/table.md"
build/lathe rollouts "$out/5-ppo" --against "$out/5-ppo" --against-step 0 >&2
echo "life: a page for each stage is in $out; talk to it with: build/lathe chat $out/2-sft/model" >&2
