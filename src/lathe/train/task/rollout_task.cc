#include "lathe/train/task/rollout_task.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/config/json_text.h"
#include "lathe/text/tokenizer.h"
#include "lathe/train/objective/rollout_config.h"
#include "lathe/train/reward/rewards.h"
#include "lathe/train/sample_source.h"
#include "lathe/train/step_lines.h"
#include "lathe/train/task/answer_data.h"
#include "lathe/train/task/other_models.h"
#include "lathe/train/task/sampling.h"
#include "lathe/train/task/trained_critic.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// One answer with what it is worth.
struct Rollout {
  const Example* prompt;
  Example example;
  std::string completion;
  RewardResult reward;
  bool ended = false;
  bool counts = true;    // in the loss
  double advantage = 0;  // of its first token
  double logps_off = 0;  // the largest |old - new| log-probability of its tokens
};

// Over those that were judged.
double mean_of(const std::vector<Rollout>& rollouts,
               const std::function<double(const Rollout&)>& f) {
  double sum = 0, count = 0;
  for (const Rollout& each : rollouts)
    if (!each.reward.failed) sum += f(each), ++count;
  return sum / count;
}

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
  }

  void begin(const std::filesystem::path& out, int64_t last_step) override {
    file_.emplace(out / "rollouts.jsonl", last_step);
    if (critic_) critic_->begin();
  }
  void write(const std::filesystem::path& out) override {
    if (critic_) critic_->write(out / "critic");
  }
  void for_each_state(const StateFn& f) const override {
    PolicyTask::for_each_state(f);
    if (critic_) critic_->for_each_state(f);
  }
  void record(int64_t step) override;

  TaskInputs check() override { return inputs_of(recipe_, prompts_->hash); }
  int64_t samples_per_epoch() const override {
    return std::ssize(prompts_->examples) * draws_.num_generations;
  }

 private:
  int64_t rollouts_per_step() const {
    return recipe_.train.batch_size * recipe_.train.grad_accumulation;
  }
  std::vector<const Example*> prompts_of(int64_t step) const;
  void draw(int64_t step, const StopCheck& stop_if_asked);
  std::string text_of(const SampledAnswer& answer) const;
  void judge(int64_t step, const StopCheck& stop_if_asked);
  void leave_out_failed();
  std::vector<std::vector<const Example*>> micro_batches() const;
  void take(const AnswerStepResult& result);
  NamedNumbers numbers(const AnswerStepResult& result) const;

  const Recipe recipe_;
  const Log log_;
  const std::unique_ptr<AnswerObjective> objective_;
  const RolloutConfig& draws_;
  const OtherModels others_;
  std::unique_ptr<TrainedCritic> critic_;  // of objectives with values
  AnswerStep step_;
  const std::shared_ptr<const ExampleSet> prompts_;
  const Tokenizer tokenizer_;
  Rewards rewards_;
  const double flops_per_token_;
  std::optional<StepLines> file_;
  // Of the last step.
  std::vector<Rollout> rollouts_;
  int64_t failures_ = 0;
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
      prompts_(examples_for(setting.callbacks, recipe_.data.train,
                            example_options(recipe_, ExampleKind::kPrompt))),
      tokenizer_(load_tokenizer(recipe_.tokenizer().value())),
      rewards_(recipe_.reward, log_),
      flops_per_token_(policy_.flops_per_token(recipe_.train.seq_len)) {}

std::vector<const Example*> RolloutTask::prompts_of(int64_t step) const {
  const int64_t each = rollouts_per_step() / draws_.num_generations;
  const int64_t size = std::ssize(prompts_->examples);
  const Rng order = Rng(static_cast<uint64_t>(recipe_.train.seed)).fork("rows");
  std::vector<const Example*> prompts;
  for (int64_t position = (step - 1) * each; position < step * each; ++position) {
    const int64_t epoch = position / size, within = position % size;
    const int64_t row = recipe_.data.order == "shuffle"
                            ? permuted(order.fork(static_cast<uint64_t>(epoch)), within, size)
                            : within;
    prompts.push_back(&prompts_->examples[static_cast<size_t>(row)]);
  }
  return prompts;
}

void RolloutTask::draw(int64_t step, const StopCheck& stop_if_asked) {
  const Rng stream = Rng(static_cast<uint64_t>(recipe_.train.seed))
                         .fork("rollouts")
                         .fork(static_cast<uint64_t>(step));
  const std::vector<const Example*> prompts = prompts_of(step);
  auto drawn =
      sample_answers(policy_.model(), policy_.for_engine(), prompts, draws_, stream, stop_if_asked);
  rollouts_.clear();
  for (size_t i = 0; i < prompts.size(); ++i)
    for (SampledAnswer& answer : drawn[i]) {
      Rollout& rollout = rollouts_.emplace_back();
      rollout.prompt = prompts[i];
      rollout.ended = answer.ended;
      rollout.completion = text_of(answer);
      Example& example = rollout.example;
      example.place = prompts[i]->place;
      example.prompt = prompts[i]->prompt;
      example.group = static_cast<int64_t>(i);
      // The engine gives them at temperature 1; the loss refers to what was drawn from, where the model's
      // own take their place.
      if (draws_.temperature == 1.0) example.old_logps = std::move(answer.logps);
      example.answers.push_back({.ids = std::move(answer.ids), .trained = {}});
      example.answers[0].trained.assign(example.answers[0].ids.size(), 1);
    }
}

// Without the token that ends it, and without ids that only fill the model's table.
std::string RolloutTask::text_of(const SampledAnswer& answer) const {
  std::vector<int32_t> ids = answer.ids;
  if (answer.ended) ids.pop_back();
  std::erase_if(ids, [&](int32_t id) { return id >= tokenizer_.vocab_size(); });
  return tokenizer_.decode(ids);
}

void RolloutTask::judge(int64_t step, const StopCheck& stop_if_asked) {
  failures_ = 0;
  for (Rollout& rollout : rollouts_) {
    stop_if_asked();
    const Json row = parse_json(rollout.prompt->row, rollout.prompt->place);
    rollout.reward =
        rewards_.of({.row = row,
                     .completion = rollout.completion,
                     .tokens = std::ssize(rollout.example.answers[0].ids) - (rollout.ended ? 1 : 0),
                     .ended = rollout.ended});
    rollout.example.reward = rollout.reward.reward;
    failures_ += rollout.reward.failed ? 1 : 0;
  }
  leave_out_failed();
  require(
      std::ranges::any_of(rollouts_, &Rollout::counts), ErrorKind::kData, "reward.command",
      "the verifier gave no finite number for {} of the {} rollouts of step {}, which leaves none to compare; "
      "run it by hand on a line of data.train with a field \"completion\": '{}'",
      failures_, rollouts_.size(), step, recipe_.reward.command.value_or(""));
}

// Nothing is learnt from a rollout without a reward, nor from one that is left alone in its group.
void RolloutTask::leave_out_failed() {
  std::map<int64_t, int64_t> judged;
  for (const Rollout& each : rollouts_) judged[each.example.group] += each.reward.failed ? 0 : 1;
  const int64_t least = draws_.num_generations > 1 ? 2 : 1;
  for (Rollout& each : rollouts_)
    each.counts = !each.reward.failed && judged[each.example.group] >= least;
}

// batch_size rollouts each, the longest first: what will not fit fails in the first step.
std::vector<std::vector<const Example*>> RolloutTask::micro_batches() const {
  std::vector<std::vector<const Example*>> all;
  for (const Rollout& each : rollouts_) {
    if (!each.counts) continue;
    if (all.empty() || std::ssize(all.back()) == recipe_.train.batch_size) all.emplace_back();
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
  draw(step, stop_if_asked);
  judge(step, stop_if_asked);
  const Rng dropout = Rng(static_cast<uint64_t>(recipe_.train.seed))
                          .fork("dropout")
                          .fork(static_cast<uint64_t>(step));
  const AnswerStepResult result =
      step_.run(micro_batches(),
                {.training = true,
                 .recompute = recipe_.recompute(),
                 .dropout = dropout,
                 .before_each = stop_if_asked},
                &gradients, critic_ ? &critic_->fresh_gradients() : nullptr);
  remember(gradients, result.routers);
  take(result);
  TaskStep taken{.loss = result.loss};
  for (const auto& micro : result.micro_batches) taken.tokens += micro.batch.inputs.rows.tokens();
  taken.flops = flops_per_token_ * static_cast<double>(taken.tokens);
  taken.numbers = numbers(result);
  return taken;
}

// What the step made of each rollout.
void RolloutTask::take(const AnswerStepResult& result) {
  std::map<const Example*, Rollout*> by_example;
  for (Rollout& rollout : rollouts_) by_example[&rollout.example] = &rollout;
  for (const auto& micro : result.micro_batches)
    for (int64_t s = 0; s < micro.batch.sequences(); ++s) {
      Rollout& rollout = *by_example.at(&micro.batch.example_of(s));
      const auto first = static_cast<size_t>(micro.batch.scored.first(s));
      const auto count = static_cast<size_t>(micro.batch.scored.length(s));
      const std::span now = std::span(micro.policy.logps).subspan(first, count);
      rollout.advantage = micro.advantages[first];
      std::vector<double>& old = rollout.example.old_logps;
      if (old.empty()) old.assign(now.begin(), now.end());
      for (size_t i = 0; i < count; ++i)
        rollout.logps_off = std::max(rollout.logps_off, std::abs(old[i] - now[i]));
    }
}

NamedNumbers RolloutTask::numbers(const AnswerStepResult& result) const {
  NamedNumbers all;
  const double reward = mean_of(rollouts_, [](const Rollout& r) { return r.example.reward; });
  const double square = mean_of(rollouts_, [&](const Rollout& r) {
    return (r.example.reward - reward) * (r.example.reward - reward);
  });
  all.emplace_back("reward", reward);
  all.emplace_back("reward_std", std::sqrt(square));
  if (recipe_.reward.command) all.emplace_back("reward_failures", static_cast<double>(failures_));
  for (size_t i = 0; i < recipe_.reward.functions.size(); ++i)
    all.emplace_back("rewards/" + recipe_.reward.functions[i] + "/mean",
                     mean_of(rollouts_, [&](const Rollout& r) { return r.reward.parts[i].value; }));
  all.emplace_back("completions/mean_length", mean_of(rollouts_, [](const Rollout& r) {
                     return static_cast<double>(r.example.answers[0].ids.size());
                   }));
  all.emplace_back("completions/clipped_ratio",
                   mean_of(rollouts_, [](const Rollout& r) { return r.ended ? 0.0 : 1.0; }));
  all.emplace_back("sampling/logp_difference_max",
                   std::ranges::max(rollouts_, {}, &Rollout::logps_off).logps_off);
  for (const Measured& each : result.metrics)
    if (each.weight > 0) all.emplace_back(each.name, each.sum / each.weight);
  return all;
}

void RolloutTask::record(int64_t step) {
  for (const Rollout& each : rollouts_) {
    Json parts = Json::object();
    for (const RewardPart& part : each.reward.parts) parts[part.name] = part.value;
    Json line = {{"step", step},
                 {"group", each.example.group},
                 {"prompt_ids", each.example.prompt},
                 {"completion_ids", each.example.answers[0].ids},
                 {"completion", each.completion},
                 {"reward", each.example.reward},
                 {"rewards", parts},
                 {"old_logps", each.example.old_logps},
                 {"advantage", each.advantage}};
    if (each.reward.failed) line["failed"] = true;
    file_->write(line);
  }
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
      r.tokenizer().has_value(), ErrorKind::kConfig, "data.tokenizer",
      "the answers are judged as text, so a tokenizer is needed; set it, or model.from to a folder that has "
      "one");
  r.reward.check();
  return std::make_unique<RolloutTask>(setting);
}

}  // namespace lathe
