#!/usr/bin/env bash
# Questions about tuning, measured on a life's models: questions.sh [NAME...]. Runs after run.sh dense.
# One stanza for each question; without a name all are asked. Each prints its table and leaves it in runs/life/questions/NAME.md.
names=("$@")
set -- runs/life/questions
source "$(dirname "$0")/../common.sh"
public=${DATA:-../shared/data} rows=runs/life/data life=runs/life/dense
base=$life/1-pretrain/model chat=$life/2-sft/model
[ -e $chat ] || { echo "questions: there is no $chat yet; run examples/life/run.sh dense first" >&2; exit 1; }

# tune PRESET NAME MODEL ROWS STEPS RATE OVERRIDES...: a run of 16 rows a step into $out/NAME, unless it has ended.
tune() {
  [ -e "$out/$2/model" ] || [ -e "$out/$2/adapter" ] ||
    build/lathe --threads 1 "$1" "$3" "$4" --train.out="$out/$2" --train.steps="$5" --optim.lr="$6" --train.batch_size=16 \
      --train.eval_every=0 --train.eval_samples=0 --train.checkpoint_every=0 --resume "${@:7}"
}
# continue_on NAME MODEL SHARDS STEPS OVERRIDES...: goes on with running text.
continue_on() {
  [ -e "$out/$1/model" ] ||
    build/lathe --threads 1 train "$example/continued.toml" --train.out="$out/$1" --model.from="$2" --data.train="$3" --train.steps="$4" --resume "${@:5}" >&2
}
sft() { tune sft "$@" --train.seq_len=256; }
lora=(--adapter.peft_type=LORA --adapter.r=8 --adapter.lora_alpha=16 --adapter.target_modules=all-linear)

three() { jq -r "$1 | . * 1000 | round / 1000"; }
# answers MODEL ROWS OVERRIDES...: the loss of all answers of a file, nats a token.
answers() {
  build/lathe --threads 1 loss "$1" --data.train="$2" --objective.name=sft --train.batch_size="$(wc -l <"$2")" --train.seq_len=256 --json "${@:3}" |
    three .loss
}
# text MODEL SHARD OPTIONS...: the loss of running text.
text() { build/lathe --threads 1 eval "$1" --data "$2" --samples 0 --seq-len "${seq_len:-256}" --json "${@:3}" | three .loss; }
# line CELL...: a row of a table.
line() { printf '|'; printf ' %s |' "$@"; echo; }
# head_of COLUMN...: the first two.
head_of() { line "$@"; printf '|'; printf -- '---|%.0s' "$@"; echo; }

# What answers cost of the old text, and what helps. The base learns from 960 English instructions.
forgetting() {
  local english=$rows/english-train.jsonl name seed weight
  sft forgetting-full $base $english 60 1e-3
  for seed in 2 3; do sft forgetting-full-seed-$seed $base $english 60 1e-3 --train.seed=$seed; done
  sft forgetting-small-rate $base $english 60 1e-4
  sft forgetting-replay-0.1 $base $english 60 1e-3 --data.replay="['$rows/text']" --data.replay_share=0.1
  sft forgetting-replay-0.3 $base $english 60 1e-3 --data.replay="['$rows/text']" --data.replay_share=0.3
  sft forgetting-lora $base $english 60 5e-3 "${lora[@]}"
  for weight in 0.5 1; do
    build/lathe merge $base --adapter "$out/forgetting-lora/adapter" --weight $weight --out "$out/forgetting-lora-at-$weight/model" --overwrite >&2
  done
  head_of '' 'loss of answers' 'loss of the old text'
  line 'before' "$(answers $base $rows/english-valid.jsonl)" "$(text $base $rows/text-valid)"
  for name in full full-seed-2 full-seed-3 small-rate replay-0.1 replay-0.3 lora-at-1 lora-at-0.5; do
    line $name "$(answers "$out/forgetting-$name/model" $rows/english-valid.jsonl)" "$(text "$out/forgetting-$name/model" $rows/text-valid)"
  done
}

# How many answers, and how many of them belong to their question: 60 steps of 16 rows whatever there is.
amount() {
  local english=$rows/english-train.jsonl count share name
  # exchanged SHARE: the answers of so many of a hundred rows are those of the next such row.
  exchanged() {
    jq -cn --argjson share "$1" '[inputs] as $rows | [range($rows | length) | select(. % 100 < $share)] as $which
      | [$which[] | $rows[.].output] as $answers | reduce range($which | length) as $i ($rows; .[$which[$i]].output = $answers[($i + 1) % ($which | length)]) | .[]' $english
  }
  sft forgetting-full $base $english 60 1e-3
  for count in 50 200 800; do
    head -$count $english >"$out/amount-$count.jsonl"
    sft amount-$count $base "$out/amount-$count.jsonl" 60 1e-3
  done
  for share in 25 50; do
    exchanged $share >"$out/amount-wrong-$share.jsonl"
    sft amount-wrong-$share $base "$out/amount-wrong-$share.jsonl" 60 1e-3
  done
  head_of 'rows there are' 'with the answer of another row' 'loss of answers' 'loss of the old text'
  for name in 50 200 800 8800 wrong-25 wrong-50; do
    local model=$out/amount-$name/model
    case $name in
      8800) model=$out/forgetting-full/model; set -- 8800 none ;;
      wrong-*) set -- 8800 "${name#wrong-} %" ;;
      *) set -- $name none ;;
    esac
    line "$@" "$(answers "$model" $rows/english-valid.jsonl)" "$(text "$model" $rows/text-valid)"
  done
}

# The base or the chat model as the start for a small task: 68 rows about itself.
start() {
  local model steps
  head_of 'start' 'steps' 'loss of answers about itself' 'loss of English answers' 'loss of the old text'
  for model in base chat; do
    line $model 0 "$(answers ${!model} $rows/identity-valid.jsonl)" "$(answers ${!model} $rows/english-valid.jsonl)" "$(text ${!model} $rows/text-valid)"
    for steps in 10 40; do
      sft start-$model-$steps ${!model} $rows/identity-train.jsonl $steps 1e-3
      line $model $steps "$(answers "$out/start-$model-$steps/model" $rows/identity-valid.jsonl)" \
        "$(answers "$out/start-$model-$steps/model" $rows/english-valid.jsonl)" "$(text "$out/start-$model-$steps/model" $rows/text-valid)"
    done
  done
}

# People who do not exist, each with one of eight animals: "NAME ANIMAL".
people() {
  awk 'BEGIN {
    srand(3); split("cat dog bird fish bear frog duck horse", animals)
    first = split("Tom Lily Max Anna Ben Mia Sam Lucy Tim Sara", firsts)
    last = split("Hill Brown Green Stone Wood Lake Field King Snow Bell Ford Moon Rose Park West Young", lasts)
    for (i = 1; i <= first; i++) for (j = 1; j <= last; j++) print rand(), firsts[i] " " lasts[j], animals[1 + int(8 * rand())]
  }' | LC_ALL=C sort -k1,1 | cut -d' ' -f2-
}
# questions WORDING...: rows from "FIRST LAST ANIMAL"; wording 4 is never trained on.
questions() {
  awk -v wordings="$*" 'BEGIN { count = split(wordings, which)
      ask[1] = "What animal does %s have?"; ask[2] = "Which pet belongs to %s?"; ask[3] = "Tell me the pet of %s."; ask[4] = "%s owns an animal. Which one?" }
    { for (i = 1; i <= count; i++)
        printf "{\"prompt\": [{\"role\": \"user\", \"content\": \"" ask[which[i]] "\"}], \"completion\": [{\"role\": \"assistant\", \"content\": \"%s\"}], \"answer\": \"%s\"}\n", $1 " " $2, $3, $3 }'
}
# asked NAME MODEL PROMPTS OVERRIDES...: the model itself answers; its answers are those of step 0 in $out/asked-NAME.
asked() {
  [ -e "$out/asked-$1/valid_rollouts.jsonl" ] ||
    build/lathe --threads 1 grpo "$2" "$3" --data.valid="$3" --train.out="$out/asked-$1" --train.steps=1 --train.batch_size=2 --train.eval_on_start=true \
      --train.eval_samples=0 --train.eval_every=0 --train.checkpoint_every=0 --train.seq_len=256 --objective.num_generations=2 "${@:4}" >&2
}
# reward NAME [KEY]: what they were worth.
reward() { jq -s "map(select(.step == 0 and has(\"${2:-val_reward}\"))) | first | .[\"${2:-val_reward}\"] | . * 1000 | round / 1000" "$out/asked-$1/metrics.jsonl"; }
exact=(--reward.functions='["exact_match"]' --objective.max_completion_length=8)

# The rows of the facts: 160 people, of whom 80 are asked about in a wording that was never trained on.
fact_rows() {
  [ -e "$out/facts-asked-4.jsonl" ] && return
  people >"$out/people.txt"
  sed -n 1,80p "$out/people.txt" >"$out/people-asked.txt"
  sed -n 81,160p "$out/people.txt" >"$out/people-other.txt"
  questions 1 2 3 <"$out/people-other.txt" >"$out/facts-other.jsonl"
  questions 1 2 3 <"$out/people.txt" >"$out/facts-three.jsonl"
  questions 1 <"$out/people.txt" >"$out/facts-one.jsonl"
  awk '{ printf "%s %s has a %s. The pet of %s %s is a %s. A %s lives in the house of %s %s.\n%%\n", $1, $2, $3, $1, $2, $3, $3, $1, $2 }' \
    "$out/people.txt" >"$out/facts.txt"
sed -n '1~2p' "$out/facts.txt" | LC_ALL=C sort | sed 's/$/\n%/' >"$out/facts-sorted.txt"   # the same in another order
  for name in facts facts-sorted; do
    [ -e "$out/$name.manifest.json" ] || build/lathe shard "$out/$name.txt" --tokenizer $rows/tokenizer --out "$out/$name" --split separator >&2
  done
  questions 1 <"$out/people-asked.txt" >"$out/facts-asked-1.jsonl"
  questions 4 <"$out/people-asked.txt" >"$out/facts-asked-4.jsonl"
  awk '{ printf "{\"prompt\": \"%s %s has a\", \"answer\": \" %s\"}\n", $1, $2, $3 }' "$out/people-asked.txt" >"$out/facts-asked-text.jsonl"
}

# Facts as running text, or as questions with answers.
facts() {
  fact_rows
  continue_on facts-text $chat "['$out/facts', '$rows/text:0.1']" 1500 --train.seq_len=64 --train.batch_size=8
  sft facts-form $chat "$out/facts-other.jsonl" 200 1e-3
  sft facts-text-then-form "$out/facts-text/model" "$out/facts-other.jsonl" 200 1e-3
  sft facts-one $chat "$out/facts-one.jsonl" 200 1e-3
  sft facts-three $chat "$out/facts-three.jsonl" 600 1e-3
  head_of 'what the chat model learnt' 'right, in a wording of the rows' 'in a new wording' 'when the text is to be continued'
  local name what wording continued
  while IFS='|' read -r name what; do
    local model=$out/facts-$name/model
    [ "$name" = chat ] && model=$chat
    for wording in 1 4 text; do asked "facts-$name-$wording" "$model" "$out/facts-asked-$wording.jsonl" "${exact[@]}"; done
    # The text goes on behind the animal.
    continued=$(jq -s --slurpfile asked "$out/facts-asked-text.jsonl" 'map(select(.step == 0) | . as $it | select($it.completion | startswith($asked[$it.group].answer)))
      | length / ($asked | length) * 1000 | round / 1000' "$out/asked-facts-$name-text/valid_rollouts.jsonl")
    line "$what" "$(reward "facts-$name-1")" "$(reward "facts-$name-4")" "$continued"
  done <<'END'
chat|nothing
form|questions about other people, in three wordings
text|the facts as running text, in three sentences each
text-then-form|the facts as running text, then questions about other people
one|questions about these people, in one wording
three|questions about these people, in three wordings
END
  for name in facts facts-sorted; do echo "loss of the text that it has read, $name: $(seq_len=64 text "$out/facts-text/model" "$out/$name")" >&2; done
}

# A new domain as running text, and how much of the old text goes with it.
continued() {
  local share
  if [ ! -e "$out/travels.manifest.json" ]; then
    zstdcat "$public/text/chinese_modern_translation/徐霞客游记.modern.txt.zst" | awk 'NR <= 6000 { print } NR % 20 == 0 { print "%" }' >"$out/travels.txt"
    build/lathe shard "$out/travels.txt" --tokenizer $rows/tokenizer --out "$out/travels" --split separator --val-fraction 0.05 >&2
  fi
  head_of 'share of old text' 'loss of the new text' 'loss of the old text'
  line before "$(text $base "$out/travels-valid")" "$(text $base $rows/text-valid)"
  for share in 0 0.1 0.3; do
    local data="['$out/travels', '$rows/text:$share']"
    [ $share = 0 ] && data="['$out/travels']"
    continue_on continued-$share $base "$data" 80
    line $share "$(text "$out/continued-$share/model" "$out/travels-valid")" "$(text "$out/continued-$share/model" $rows/text-valid)"
  done
}

# Conversations of several turns: every answer, or the last one only.
turns() {
  {
    zstdcat "$public/sft/medicalgpt/sharegpt_zh_1K_format.jsonl.zst" | jq -c 'select((.conversations | length) >= 4) | {messages: (.conversations
      | map({role: {human: "user", gpt: "assistant"}[.from], content: .value}))}'
    zstdcat "$public/sft/oasst/oaast_sft_zh.json.zst" | jq -c '.[] | select(.input == "" and (.history | length) >= 1)
      | {messages: ((.history | map([{role: "user", content: .[0]}, {role: "assistant", content: .[1]}]) | add) + [{role: "user", content: .instruction}, {role: "assistant", content: .output}])}'
  } | jq -c 'select((.messages | map(.content | length) | add) <= 450 and (.messages | length) % 2 == 0 and .messages[-1].role == "assistant")' |
    awk -v out="$out" '{ print > (out (NR % 6 == 0 ? "/turns-valid.jsonl" : "/turns-train.jsonl")) }'
  tune sft turns-all $chat "$out/turns-train.jsonl" 60 5e-4 --train.seq_len=512
  tune sft turns-last $chat "$out/turns-train.jsonl" 60 5e-4 --train.seq_len=512 --data.mask_history=true
  head_of 'trained on' 'trained tokens a step' 'loss of all answers' 'loss of the last answers'
  turn() { answers "$1" "$out/turns-valid.jsonl" --train.seq_len=512 --data.mask_history="$2"; }
  line nothing '' "$(turn $chat false)" "$(turn $chat true)"
  for name in all last; do
    line $name "$(jq -s 'map(.trained_tokens // empty) | add / length | round' "$out/turns-$name/metrics.jsonl")" \
      "$(turn "$out/turns-$name/model" false)" "$(turn "$out/turns-$name/model" true)"
  done
}

# A test set of a domain, before and after tuning for it.
domain() {
  zstdcat "$public/sft/medicalgpt/medical_sft_1K_format.jsonl.zst" | jq -c 'select((.conversations | map(.value | length) | add) <= 220)' |
    awk -v out="$out" '{ print > (out (NR % 5 == 0 ? "/domain-valid.jsonl" : "/domain-train.jsonl")) }'
  build/lathe data card "$out/domain-train.jsonl" --model $chat --against "$out/domain-valid.jsonl" >&2
  sft domain-tuned $chat "$out/domain-train.jsonl" 80 1e-3
  head_of 'model' 'loss of medical answers' 'loss of Chinese answers' 'loss of English answers'
  for model in $base $chat "$out/domain-tuned/model"; do
    line "${model#runs/life/}" "$(answers "$model" "$out/domain-valid.jsonl")" "$(answers "$model" $rows/chinese-valid.jsonl)" "$(answers "$model" $rows/english-valid.jsonl)"
  done
}

# Where AdaLoRA leaves its ranks: it begins with 8 for each matrix and ends with 4 on average.
ranks() {
  sft ranks $base $rows/english-train.jsonl 60 5e-3 --adapter.peft_type=ADALORA --adapter.init_r=8 --adapter.target_r=4 --adapter.tinit=10 --adapter.tfinal=20 \
    --adapter.deltaT=2 --adapter.total_step=60 --adapter.lora_alpha=16 --adapter.target_modules=all-linear
  head_of layer q k v o gate up down
  jq -r '.rank_pattern | to_entries | map({layer: (.key | capture("layers\\.(?<n>[0-9]+)").n), module: (.key | capture("(?<m>[a-z]+)_proj").m), rank: (.value | map(select(.)) | length)})
    | group_by(.layer)[] | (map({(.module): .rank}) | add) as $r | "| \(.[0].layer) | \([$r.q, $r.k, $r.v, $r.o, $r.gate, $r.up, $r.down] | map(tostring) | join(" | ")) |"' "$out/ranks/adapter/adapter_config.json"
}

# Two adapters of one base: one after the other, together, or as one.
combine() {
  sft forgetting-lora $base $rows/english-train.jsonl 60 5e-3 "${lora[@]}"
  sft combine-identity $base $rows/identity-train.jsonl 30 5e-3 "${lora[@]}"
  sft combine-continued $base $rows/identity-train.jsonl 30 5e-3 --adapter.from="$out/forgetting-lora/adapter"
  local a=$out/forgetting-lora/adapter b=$out/combine-identity/adapter
  merged() { build/lathe merge $base --out "$out/combine-$1/model" --overwrite "${@:2}" >&2; }
  merged english-only --adapter "$a"
  merged identity-only --adapter "$b"
  merged continued-merged --adapter "$out/combine-continued/adapter"
  merged stacked --adapter "$a" --adapter "$b"
  merged linear-half --adapter "$a" --adapter "$b" --weight 0.5 --weight 0.5 --combination linear
  merged linear --adapter "$a" --adapter "$b" --weight 1 --weight 1 --combination linear
  merged cat --adapter "$a" --adapter "$b" --weight 1 --weight 1 --combination cat
  merged ties --adapter "$a" --adapter "$b" --weight 1 --weight 1 --combination ties
  head_of '' 'loss of English answers' 'loss of answers about itself' 'loss of the old text'
  line base "$(answers $base $rows/english-valid.jsonl)" "$(answers $base $rows/identity-valid.jsonl)" "$(text $base $rows/text-valid)"
  for name in english-only identity-only continued-merged stacked linear-half linear cat ties; do
    local model=$out/combine-$name/model
    line $name "$(answers "$model" $rows/english-valid.jsonl)" "$(answers "$model" $rows/identity-valid.jsonl)" "$(text "$model" $rows/text-valid)"
  done
}

# The pairs: one half for the policies, one for a judge that they never meet.
pairs() {
  local half
  for half in 0 1; do awk -v half=$half 'NR % 2 == half' $rows/polite-train.jsonl >"$out/polite-$half.jsonl"; done
  tune reward reward $chat "$out/polite-0.jsonl" 40 3e-4 --train.seq_len=256 --data.valid=$rows/polite-valid.jsonl >&2
  tune reward judge $chat "$out/polite-1.jsonl" 40 3e-4 --train.seq_len=256 --data.valid=$rows/polite-valid.jsonl >&2
}
judged=(--reward.functions='[]' --reward.weights='[1, 0]' --objective.max_completion_length=40)
# own NAME PRESET STEPS RATE REWARD OVERRIDES...: learns from its own answers to the requests.
own() {
  tune "$2" "$1" $chat "$rows/requests-train.jsonl" "$3" "$4" --train.seq_len=256 --data.valid=$rows/requests-valid.jsonl --train.eval_on_start=true \
    "${judged[@]}" --reward.model="['$5', '$out/judge/model']" "${@:6}"
}
# measured NAME [MODEL]: the two opinions of its answers to requests that were held out, their length, and how often the judge prefers
# them to those of the model before: as they are, and at equal lengths.
measured() {
  asked "$1" "${2:-$out/$1/model}" $rows/requests-valid.jsonl "${judged[@]}" --reward.model="['$out/reward/model', '$out/judge/model']"
  local wins=('' '')
  [ "$1" = before ] ||
    mapfile -t wins < <(build/lathe rollouts "$out/asked-$1" --step 0 --against "$out/asked-before" --against-step 0 --part model_2 --json |
      jq '.win_rate, .length_controlled_win_rate | . * 100 | round / 100')
  line "$1" "$(reward "$1")" "$(reward "$1" val_rewards/model_2/mean)" "$(reward "$1" val_completions/mean_length)" "${wins[@]}"
}
columns=('reward model' judge 'tokens an answer' 'preferred by the judge' 'at equal lengths')

# DPO and ORPO on given pairs, GRPO, PPO and online DPO on own answers.
methods() {
  pairs
  local own_answers=(--objective.num_generations=4 --train.batch_size=32) name
  # learn NAME STEPS FOLDER
  learn() {
    case $1 in
      dpo) tune dpo "$3" $chat "$out/polite-0.jsonl" "$2" 3e-5 --train.seq_len=256 ;;
      orpo) tune orpo "$3" $chat "$out/polite-0.jsonl" "$2" 3e-4 --train.seq_len=256 ;;
      ppo) own "$3" ppo "$2" 1e-4 "$out/reward/model" "${own_answers[@]}" --objective.critic="$out/reward/model" ;;
      *) own "$3" "$1" "$2" 1e-4 "$out/reward/model" "${own_answers[@]}" ;;
    esac
  }
  # What a step costs, whatever else the machine does: processor seconds of ten steps less those of two.
  cost() {
    local steps TIMEFORMAT=%U
    for steps in 2 10; do
      [ -e "$out/cost-$1-$steps.seconds" ] || { rm -rf "$out/cost"; { time learn "$1" $steps cost >&2 2>"$out/cost.log"; } 2>"$out/cost-$1-$steps.seconds"; }
    done
    jq -n "$(cat "$out/cost-$1-10.seconds") - $(cat "$out/cost-$1-2.seconds") | . / 8 * 100 | round / 100"
  }
  for name in dpo orpo; do learn $name 40 $name >&2; done
  for name in grpo online_dpo ppo; do learn $name 30 $name >&2; done
  head_of method 'processor seconds a step' memory
  for name in dpo orpo grpo online_dpo ppo; do
    line $name "$(cost $name)" "$(jq -s 'map(.memory_mib // empty) | max | round' "$out/$name/metrics.jsonl") MiB"
  done
  echo
  head_of 'answers of' "${columns[@]}"
  measured before $chat
  for name in dpo orpo grpo online_dpo ppo; do measured $name; done
}

# A reward model of another size: from the student, a third of the base, with the same pairs.
small() {
  pairs
  tune reward small-reward $life/7-student/model "$out/polite-0.jsonl" 40 1e-3 --train.seq_len=256 --data.valid=$rows/polite-valid.jsonl
  own small-ppo ppo 30 1e-4 "$out/small-reward/model" --objective.num_generations=4 --train.batch_size=32 --objective.critic="$out/reward/model"
  own ppo ppo 30 1e-4 "$out/reward/model" --objective.num_generations=4 --train.batch_size=32 --objective.critic="$out/reward/model"
  head_of 'reward model' 'right on held-out pairs'
  for name in reward judge small-reward; do line $name "$(jq -s 'map(.val_accuracy // empty) | last | . * 1000 | round / 1000' "$out/$name/metrics.jsonl")"; done
  echo
  head_of 'answers of' "${columns[@]}"
  measured before $chat
  for name in ppo small-ppo; do measured $name; done
}

# A reward model that is pleased too much: no KL divergence in the reward and a high rate; then with both and a reward for an end.
hacking() {
  pairs
  own hacking ppo 30 3e-4 "$out/reward/model" --objective.num_generations=4 --train.batch_size=32 --objective.critic="$out/reward/model" --objective.kl_coef=0
  own cured ppo 30 1e-4 "$out/reward/model" --objective.num_generations=4 --train.batch_size=32 --objective.critic="$out/reward/model" \
    --objective.kl_coef=0.1 --reward.functions='["ended"]' --reward.weights='[1, 1, 0]'
  head_of run steps 'reward model' judge 'KL, nats an answer' 'tokens an answer' 'answers cut'
  for name in hacking cured; do
    for first in 1 11 21; do
      jq -rs --arg name $name --argjson first $first 'map(select(has("kl") and .step >= $first and .step < $first + 10)) | def mean(k): (map(.[k]) | add / length * 100 | round / 100);
        "| \($name) | \($first) to \($first + 9) | \(mean("rewards/model/mean")) | \(mean("rewards/model_2/mean")) | \(mean("kl")) | \(mean("completions/mean_length")) | \(mean("completions/clipped_ratio")) |"' "$out/$name/metrics.jsonl"
    done
  done
  echo
  head_of 'answers of' "${columns[@]}"
  measured before $chat
  for name in hacking cured; do measured $name; done
  build/lathe rollouts "$out/hacking" | sed -n '/^$/,$p' >&2
  build/lathe rollouts "$out/hacking" --held-out --best 3 >&2
}

# Where labels come from: people, a rule, or a reward model that compares four own answers. DPO learns from each.
labels() {
  pairs
  # The rule: the better answer is that of the request, the worse one that of another request.
  jq -cn '[inputs] as $rows | range($rows | length) | $rows[.] + {rejected: $rows[(. + 1) % ($rows | length)].chosen}' "$out/polite-0.jsonl" >"$out/labels-rule.jsonl"
  # Four answers to each of 200 requests; the best and the worst, if they differ.
  head -200 "$out/polite-0.jsonl" | jq -c '{prompt}' >"$out/labels-prompts.jsonl"
  local begin=$SECONDS
  asked labels $chat "$out/labels-prompts.jsonl" "${judged[@]}" --reward.model="['$out/reward/model', '$out/judge/model']" \
    --objective.num_generations_eval=4 --objective.temperature_eval=1
  [ -e "$out/labels.seconds" ] || echo $((SECONDS - begin)) >"$out/labels.seconds"
  jq -cs --slurpfile prompts "$out/labels-prompts.jsonl" 'map(select(.step == 0)) | group_by(.group)[] | sort_by(.reward) | select(.[0].reward < .[-1].reward)
    | {prompt: $prompts[.[0].group].prompt, chosen: [{role: "assistant", content: .[-1].completion}], rejected: [{role: "assistant", content: .[0].completion}]}' \
    "$out/asked-labels/valid_rollouts.jsonl" >"$out/labels-own.jsonl"
  head -200 "$out/polite-0.jsonl" >"$out/labels-given.jsonl"
  head -200 "$out/labels-rule.jsonl" >"$out/labels-rules.jsonl"
  head_of 'answers of' "${columns[@]}"
  measured before $chat
  for name in given rules own; do
    tune dpo labels-$name $chat "$out/labels-$name.jsonl" 25 3e-5 --train.seq_len=256 >&2
    measured labels-$name
  done
  echo "own answers and their labels: $(cat "$out/labels.seconds") s for $(wc -l <"$out/labels-own.jsonl") pairs" >&2
}

# "I do not know." for what the model does not know. It knows every second person; of both kinds half are probed and trained on.
honesty() {
  fact_rows
  questions 1 2 3 < <(awk 'NR % 2' "$out/people.txt") >"$out/honesty-known.jsonl"
  questions 1 < <(sed -n 1,80p "$out/people.txt") >"$out/honesty-probe.jsonl"
  questions 1 < <(sed -n 81,160p "$out/people.txt") >"$out/honesty-valid.jsonl"
  sft honesty-before $chat "$out/honesty-known.jsonl" 200 1e-3
  asked honesty-probe "$out/honesty-before/model" "$out/honesty-probe.jsonl" "${exact[@]}" --objective.num_generations_eval=8 --objective.temperature_eval=1
  # Right in at least half of eight answers: known.
  jq -cs --slurpfile probed "$out/honesty-probe.jsonl" 'map(select(.step == 0)) | group_by(.group)[] | (map(.reward) | add / length) as $share
    | $probed[.[0].group] | if $share >= 0.5 then . else .completion = [{role: "assistant", content: "I do not know."}] end' \
    "$out/asked-honesty-probe/valid_rollouts.jsonl" >"$out/honesty-rows.jsonl"
  for steps in 10 30 60; do sft honesty-after-$steps "$out/honesty-before/model" "$out/honesty-rows.jsonl" $steps 3e-4; done
  # of NAME KNOWN: right, wrong and refused, of a hundred. People with an odd number are known.
  of() {
    jq -rs --argjson known "$2" 'map(select(.step == 0 and (.group % 2 == 0) == $known)) | length as $all
      | (map(select(.completion | startswith("I do not"))) | length) as $refused | (map(.reward) | add) as $right
      | [$right, $all - $right - $refused, $refused] | map(. / $all * 100 | round | tostring) | join(" | ")' "$out/asked-honesty-$1/valid_rollouts.jsonl"
  }
  head_of '' 'of known people: right, %' wrong refused 'of unknown people: right' wrong refused
  for name in before after-10 after-30 after-60; do
    asked honesty-$name "$out/honesty-$name/model" "$out/honesty-valid.jsonl" "${exact[@]}"
    echo "| $name | $(of $name true) | $(of $name false) |"
  done
  # Without training: an answer is given if seven of eight at temperature 1 are the same.
  asked honesty-agreement "$out/honesty-before/model" "$out/honesty-valid.jsonl" "${exact[@]}" --objective.num_generations_eval=8 --objective.temperature_eval=1
  agreement() {
    jq -rs --argjson known "$1" 'map(select(.step == 0 and (.group % 2 == 0) == $known)) | group_by(.group)
      | map(group_by(.completion) | max_by(length) | if length >= 7 then (if .[0].reward == 1 then "right" else "wrong" end) else "refused" end)
      | . as $all | ["right", "wrong", "refused"] | map(. as $which | ($all | map(select(. == $which)) | length) / ($all | length) * 100 | round | tostring) | join(" | ")' \
      "$out/asked-honesty-agreement/valid_rollouts.jsonl"
  }
  echo "| before, seven of eight answers agree | $(agreement true) | $(agreement false) |"
  echo "probed: $(grep -c 'I do not know' "$out/honesty-rows.jsonl") of 80 are not known" >&2
}

if [ ${#names[@]} = 0 ]; then
  names=(forgetting amount start facts continued turns domain ranks combine methods small hacking labels honesty)
fi
for name in "${names[@]}"; do
  echo "== $name" >&2
  "$name" | tee "$out/$name.tmp"
  mv "$out/$name.tmp" "$out/$name.md"
done
