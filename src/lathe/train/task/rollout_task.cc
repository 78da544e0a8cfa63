#include "lathe/train/task/rollout_task.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "lathe/base/error.h"
#include "lathe/config/json_text.h"
#include "lathe/train/metrics.h"
#include "lathe/train/objective/rollout_config.h"
#include "lathe/train/rollout_watch.h"
#include "lathe/train/step_lines.h"
#include "lathe/train/task/held_out_prompts.h"
#include "lathe/train/task/other_models.h"
#include "lathe/train/task/pretraining_text.h"
#include "lathe/train/task/rollout_report.h"
#include "lathe/train/task/rollout_source.h"
#include "lathe/train/task/trained_critic.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

std::unique_ptr<TrainedCritic> make_critic(const AnswerModels& models, const Recipe& recipe) {
  const MemoryLabel label("critic");
  return std::make_unique<TrainedCritic>(*models.critic, models.critic_adapter, recipe);
}

class RolloutTask : public PolicyTask {
 public:
  explicit RolloutTask(const TaskSetting& setting);

  TaskStep gradients(int64_t step, ParameterGradients& gradients,
                     const StopCheck& stop_if_asked) override;
  void after_update(const StepInfo& update, const TensorOf& masters) override {
    PolicyTask::after_update(update, masters);
    if (critic_) critic_->update(update);
    source_.advance();
    kl_coef_ = next_kl_coef_;
  }

  void begin(const std::filesystem::path& out, int64_t last_step) override {
    file_.emplace(out / "rollouts.jsonl", last_step);
    if (critic_) critic_->begin();
    held_out_.begin(out, last_step);
    watch_earlier_steps(out / "metrics.jsonl");
  }
  void write(const std::filesystem::path& out) override {
    if (critic_) critic_->write(out / "critic");
  }
  Json state() const override;
  void restore(const Json& state) override;
  void for_each_state(const StateFn& f) const override {
    PolicyTask::for_each_state(f);
    if (critic_) critic_->for_each_state(f);
  }
  void record(int64_t step) override;
  bool evaluates() const override { return !held_out_.empty(); }
  TaskEvaluation evaluate(int64_t step, const StopCheck& stop_if_asked) override {
    return held_out_.evaluate(step, source_, policy_, stop_if_asked);
  }

  TaskInputs check() override {
    source_.check();
    TaskInputs inputs = inputs_of(recipe_, source_.prompts().hash);
    if (mix_) mix_->add_inputs(inputs);
    return inputs;
  }
  int64_t samples_per_epoch() const override {
    return std::ssize(source_.prompts().examples) * draws_.num_generations;
  }

 private:
  std::vector<std::vector<const Example*>> micro_batches() const;
  void take(const AnswerStepResult& result);
  void watch_earlier_steps(const std::filesystem::path& metrics);
  void warn();
  void adapt_kl_coef(const AnswerStepResult& result, NamedNumbers& numbers);
  NamedNumbers numbers(const AnswerStepResult& result) const;

  const Recipe recipe_;
  const Log log_;
  const std::unique_ptr<AnswerObjective> objective_;
  const RolloutConfig& draws_;
  const OtherModels others_;
  std::unique_ptr<TrainedCritic> critic_;  // of objectives with values
  AnswerStep step_;
  RolloutSource source_;
  HeldOutPrompts held_out_;
  const std::optional<KlControl> kl_control_;
  const std::unique_ptr<PretrainingText> mix_;
  const double flops_per_token_;
  std::optional<StepLines> file_;
  RolloutWatch watch_;
  std::set<std::string> warned_;  // of which flags
  // Of the last step.
  std::vector<Rollout> rollouts_;
  NamedNumbers numbers_;
  std::optional<double> kl_coef_, next_kl_coef_;  // with a KlControl
};

RolloutTask::RolloutTask(const TaskSetting& setting)
    : PolicyTask(setting.recipe, setting.callbacks.log),
      recipe_(setting.recipe),
      log_(setting.callbacks.log),
      objective_(make_answer_objective(recipe_.objective, recipe_.model)),
      draws_(*objective_->rollouts()),
      others_(recipe_, policy_, log_),
      critic_(objective_->needs().values ? make_critic(others_.all(), recipe_) : nullptr),
      step_(*objective_, others_.all()),
      source_(recipe_, draws_, policy_, setting.callbacks),
      held_out_(recipe_, source_, setting.callbacks),
      kl_control_(objective_->kl_control()),
      mix_(make_pretraining_mix(recipe_, others_.all(), objective_->pretraining())),
      flops_per_token_(policy_.flops_per_token(recipe_.train.seq_len)),
      watch_(recipe_.train.precision) {
  if (kl_control_) kl_coef_ = kl_control_->initial;
}

// Up to batch_size rollouts each, the longest first: what will not fit fails in the first step.
std::vector<std::vector<const Example*>> RolloutTask::micro_batches() const {
  const bool whole = objective_->needs().whole_groups;
  std::map<int64_t, int64_t> sizes;  // of groups
  for (const Rollout& each : rollouts_) sizes[each.example.group] += each.counts ? 1 : 0;
  std::vector<std::vector<const Example*>> all;
  for (const Rollout& each : rollouts_) {
    if (!each.counts) continue;
    const int64_t group = each.example.group;
    const bool begins = all.empty() || all.back().back()->group != group;
    const int64_t room =
        all.empty() ? 0 : recipe_.train.batch_size - static_cast<int64_t>(all.back().size());
    const int64_t needed = !whole ? 1 : begins ? sizes[group] : 0;
    if (all.empty() || room < needed) all.emplace_back();
    all.back().push_back(&each.example);
  }
  const auto tokens = [](const std::vector<const Example*>& micro) {
    int64_t sum = 0;
    for (const Example* e : micro) sum += std::ssize(e->prompt) + std::ssize(e->answers[0].ids);
    return sum;
  };
  std::ranges::stable_sort(all, std::greater(), tokens);
  return all;
}

TaskStep RolloutTask::gradients(int64_t step, ParameterGradients& gradients,
                                const StopCheck& stop_if_asked) {
  rollouts_ = source_.draw(step, policy_, stop_if_asked);
  const Rng dropout = Rng(static_cast<uint64_t>(recipe_.train.seed))
                          .fork("dropout")
                          .fork(static_cast<uint64_t>(step));
  const AnswerStepSettings settings{.training = true,
                                    .recompute = recipe_.recompute(),
                                    .dropout = dropout,
                                    .kl_coef = kl_coef_,
                                    .before_each = stop_if_asked};
  const AnswerStepResult result = step_.run(micro_batches(), settings, &gradients,
                                            critic_ ? &critic_->fresh_gradients() : nullptr);
  remember(gradients, result.routers);
  take(result);
  TaskStep taken{.loss = result.loss};
  for (const auto& micro : result.micro_batches) taken.tokens += micro.batch.inputs.rows.tokens();
  taken.numbers = numbers(result);
  if (kl_control_) adapt_kl_coef(result, taken.numbers);
  if (mix_) {
    const PretrainingText::Learnt text = mix_->run(step, result.counts.tokens, settings, gradients);
    taken.loss += mix_->weight() * text.loss;
    taken.tokens += text.tokens;
    taken.numbers.emplace_back("ptx_loss", text.loss);
  }
  taken.flops = flops_per_token_ * static_cast<double>(taken.tokens);
  numbers_ = taken.numbers;
  return taken;
}

void RolloutTask::adapt_kl_coef(const AnswerStepResult& result, NamedNumbers& numbers) {
  numbers.emplace_back("kl_coef", *kl_coef_);
  next_kl_coef_ = kl_coef_;
  const auto kl = std::ranges::find(result.metrics, "kl", &Measured::name);
  if (kl != result.metrics.end() && kl->weight > 0)
    next_kl_coef_ = kl_control_->next(*kl_coef_, kl->sum / kl->weight, kl->weight);
}

// What the step made of each rollout.
void RolloutTask::take(const AnswerStepResult& result) {
  std::map<const Example*, Rollout*> by_example;
  for (Rollout& rollout : rollouts_) by_example[&rollout.example] = &rollout;
  for (const auto& micro : result.micro_batches)
    for (int64_t s = 0; s < micro.batch.sequences(); ++s) {
      Rollout& rollout = *by_example.at(&micro.batch.example_of(s));
      if (micro.batch.scored.length(s) == 0) continue;
      const auto first = static_cast<size_t>(micro.batch.scored.first(s));
      const auto count = static_cast<size_t>(micro.batch.scored.length(s));
      const std::span now = std::span(micro.policy.logps).subspan(first, count);
      rollout.advantage = micro.advantages[first];
      const std::vector<uint8_t>& trained = rollout.example.answers[0].trained;
      std::vector<double>& old = rollout.example.old_logps;
      const bool known = !old.empty();
      old.resize(trained.size(), 0);
      auto next = now.begin();
      for (size_t i = 0; i < trained.size(); ++i) {
        if (trained[i] == 0) continue;
        if (!known) old[i] = *next;
        rollout.logps_off = std::max(rollout.logps_off, std::abs(old[i] - *next++));
      }
    }
}

Json RolloutTask::state() const {
  Json state = PolicyTask::state();
  if (const auto position = source_.position()) state["prompts_used"] = *position;
  if (kl_coef_) state["kl_coef"] = *kl_coef_;
  return state;
}

void RolloutTask::restore(const Json& state) {
  PolicyTask::restore(state);
  if (state.contains("prompts_used")) source_.set_position(state.at("prompts_used").get<int64_t>());
  if (kl_coef_ && state.contains("kl_coef")) kl_coef_ = state.at("kl_coef").get<double>();
}

NamedNumbers RolloutTask::numbers(const AnswerStepResult& result) const {
  NamedNumbers all = rollout_numbers(rollouts_, recipe_.reward.parts());
  for (const Measured& each : result.metrics) {
    if (each.weight > 0) all.emplace_back(each.name, each.sum / each.weight);
    if (each.name == "kl" && result.counts.tokens > 0)
      all.emplace_back("kl_per_token", each.sum / static_cast<double>(result.counts.tokens));
  }
  return all;
}

void RolloutTask::record(int64_t step) {
  for (const Rollout& each : rollouts_) file_->write(rollout_line(each, step));
  watch_.add([&](const std::string& name) { return find_number(numbers_, name); });
  warn();
}

// A run that goes on knows what it has seen, and does not tell it again.
void RolloutTask::watch_earlier_steps(const std::filesystem::path& metrics) {
  std::ifstream in(metrics);
  for (std::string line; std::getline(in, line);) {
    const Json record = parse_json(line, metrics.string());
    watch_.add([&](const std::string& name) { return metric_value(record, name); });
  }
  for (const RolloutFlag& flag : watch_.flags()) warned_.insert(flag.name);
}

void RolloutTask::warn() {
  for (const RolloutFlag& flag : watch_.flags())
    if (warned_.insert(flag.name).second)
      log_.warn("{}: {}; {}", flag.name, flag.finding, flag.advice);
}

}  // namespace

std::unique_ptr<Task> make_rollout_task(const TaskSetting& setting) {
  const Recipe& r = setting.recipe;
  const auto objective = make_answer_objective(r.objective, r.model);
  const int64_t group = objective->rollouts()->num_generations;
  require(
      r.train.batch_size * r.train.grad_accumulation % group == 0, ErrorKind::kConfig,
      "objective.num_generations",
      "{} rollouts of a step (train.batch_size x grad_accumulation) are no whole number of groups of {}; make "
      "one a multiple of the other",
      r.train.batch_size * r.train.grad_accumulation, group);
  require(
      !objective->needs().whole_groups || r.train.batch_size % group == 0, ErrorKind::kConfig,
      "train.batch_size",
      "{} answers of a micro-batch are no whole number of groups of {}, and a pair is compared within one; "
      "make batch_size a multiple of objective.num_generations",
      r.train.batch_size, group);
  require(
      r.tokenizer().has_value(), ErrorKind::kConfig, "data.tokenizer",
      "the answers are judged as text, so a tokenizer is needed; set it, or model.from to a folder that has "
      "one");
  const RolloutConfig& draws = *objective->rollouts();
  require(
      !r.data.valid.empty() || (!draws.num_generations_eval && !draws.temperature_eval),
      ErrorKind::kConfig,
      draws.num_generations_eval ? "objective.num_generations_eval" : "objective.temperature_eval",
      "there are no held-out prompts; name a file of them in data.valid, or leave the key out");
  r.reward.check();
  const int64_t punished = r.reward.max_completion_len - r.reward.soft_punish_cache;
  require(
      r.reward.max_completion_len == 0 || punished < objective->rollouts()->max_completion_length,
      ErrorKind::kConfig, "reward.max_completion_len",
      "soft_overlong punishes answers of more than {} tokens, but objective.max_completion_length lets none "
      "become longer than {}; lower max_completion_len or raise soft_punish_cache",
      punished, objective->rollouts()->max_completion_length);
  return std::make_unique<RolloutTask>(setting);
}

}  // namespace lathe
