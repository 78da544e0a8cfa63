#!/usr/bin/env bash
# Preferences in two languages, by DPO and by PPO against a reward model, and judged by another reward model, which has
# learnt from other pairs: preferences.sh [FOLDER]. Runs after run.sh dense.
set -- "${1:-runs/life/preferences}"
source "$(dirname "$0")/../common.sh"
rows=runs/life/data sft=runs/life/dense/2-sft/model
[ -e $sft ] || { echo "preferences: there is no $sft yet; run examples/life/run.sh dense first" >&2; exit 1; }

# Half of the pairs for the policy, half for the judge.
for language in polite chinese-pairs; do
  for half in 0 1; do
    awk -v half=$half 'NR % 2 == half' $rows/$language-train.jsonl >"$out/$language-$half.jsonl"
  done
  for part in train valid; do jq -c '{prompt}' $rows/$language-$part.jsonl >"$out/$language-prompts-$part.jsonl"; done
done

# tune PRESET NAME MODEL ROWS OVERRIDES...
tune() {
  [ -e "$out/$2/model" ] || build/lathe "$1" "$3" "$4" --train.out="$out/$2" --train.seq_len=256 --train.checkpoint_every=0 \
    --train.eval_samples=0 --train.eval_on_start=true --resume "${@:5}"
}
# judged NAME MODEL LANGUAGE OVERRIDES...: answers to the held-out prompts; of the reward, part model_2 is the judge.
judged() {
  tune ppo "$1" "$2" "$out/$3-prompts-train.jsonl" --data.valid="$out/$3-prompts-valid.jsonl" --objective.max_completion_length=64 \
    --objective.critic="$out/$3-reward/model" --objective.reference="$sft" --train.batch_size=64 --reward.functions='[]' \
    --reward.model="['$out/$3-reward/model', '$out/$3-judge/model']" --reward.weights='[1, 0]' "${@:4}"
}
for language in polite chinese-pairs; do
  valid=(--data.valid=$rows/$language-valid.jsonl --train.batch_size=32 --train.eval_every=0)
  tune reward $language-reward $sft "$out/$language-0.jsonl" "${valid[@]}" --train.budget='3 epochs' --optim.lr=3e-4
  tune reward $language-judge $sft "$out/$language-1.jsonl" "${valid[@]}" --train.budget='3 epochs' --optim.lr=3e-4
  tune dpo $language-dpo $sft "$out/$language-0.jsonl" "${valid[@]}" --train.budget='3 epochs' --optim.lr=3e-5
  judged $language-ppo $sft $language --train.steps=100 --train.eval_every=20 --optim.lr=3e-5 --objective.kl_coef=0.05
  judged $language-dpo-judged "$out/$language-dpo/model" $language --train.steps=1 --train.eval_every=0
done

# A number of a run: the first or last that its metrics have.
number() { jq -rs --arg key "$2" "map(select(has(\$key)) | .[\$key]) | $3 | . * 1000 | round / 1000" "$out/$1/metrics.jsonl"; }
# against NAME STEP LANGUAGE: its answers beside those of the model before, by the judge.
against() {
  build/lathe rollouts "$out/$1" --step "$2" --against "$out/$3-ppo" --against-step 0 --part model_2 --json |
    jq -r '[.win_rate, .stderr, .length_controlled_win_rate, .second.length, .first.length] | map(. * 100 | round / 100)
      | "\(.[0]) ± \(.[1]) | \(.[2]) | \(.[3]) to \(.[4])"'
}
{
  echo '| | reward model, judge: right on held-out pairs | method | win rate | at equal lengths | tokens | KL, nats an answer |'
  echo '|---|---|---|---|---|---|---|'
  for language in polite chinese-pairs; do
    right="$(number $language-reward val_accuracy last), $(number $language-judge val_accuracy last)"
    echo "| $language | $right | DPO (right on $(number $language-dpo val_rewards/accuracies last)) | $(against $language-dpo-judged 0 $language) | $(number $language-dpo-judged kl first) |"
    echo "| | | PPO | $(against $language-ppo 100 $language) | $(number $language-ppo kl last) |"
  done
} | tee "$out/table.md"
build/lathe plot "$out"/{polite,chinese-pairs}-ppo --y val_reward --out "$out/reward.svg" --title 'Reward on held-out prompts'
