#include "lathe/base/error.h"
#include "lathe/train/task/answer_data.h"
#include "lathe/train/task/other_models.h"
#include "lathe/train/task/rollout_task.h"
#include "lathe/train/validation.h"

namespace lathe {
namespace {

class AnswerTask : public PolicyTask {
 public:
  explicit AnswerTask(const TaskSetting& setting)
      : PolicyTask(setting.recipe, setting.callbacks.log),
        recipe_(setting.recipe),
        log_(setting.callbacks.log),
        objective_(make_answer_objective(recipe_.objective, recipe_.model)),
        others_(recipe_, policy_, log_),
        step_(*objective_, others_.all()),
        data_(recipe_, examples_for(setting.callbacks, recipe_.data.train,
                                    example_options(recipe_, objective_->needs().kind))),
        flops_per_token_(policy_.flops_per_token(recipe_.train.seq_len)) {
    step_.keep_reference();
    for (const std::string& text : recipe_.data.valid) {
      NamedShard file = parse_named_shard(text);
      auto set = examples_for(setting.callbacks, {file.prefix},
                              example_options(recipe_, objective_->needs().kind));
      validation_.push_back(
          {std::move(file), std::make_unique<AnswerData>(recipe_, std::move(set))});
    }
  }

  TaskStep gradients(int64_t step, ParameterGradients& gradients,
                     const StopCheck& stop_if_asked) override {
    const auto micro_batches = data_.micro_batches(step);
    const Rng dropout = Rng(static_cast<uint64_t>(recipe_.train.seed))
                            .fork("dropout")
                            .fork(static_cast<uint64_t>(step));
    const AnswerStepResult result = step_.run(micro_batches,
                                              {.training = true,
                                               .recompute = recipe_.recompute(),
                                               .dropout = dropout,
                                               .before_each = stop_if_asked},
                                              &gradients, nullptr);
    remember(gradients, result.routers);
    TaskStep taken{.loss = result.loss};
    for (const auto& micro : result.micro_batches)
      taken.tokens += micro.batch.inputs.rows.tokens() +
                      (micro.batch.inputs.text ? micro.batch.inputs.text->tokens() : 0);
    taken.flops = flops_per_token_ * static_cast<double>(taken.tokens);
    taken.numbers = numbers_of(result);
    return taken;
  }
  bool evaluates() const override { return !validation_.empty(); }
  TaskEvaluation evaluate(int64_t, const StopCheck& stop_if_asked) override {
    TaskEvaluation all;
    for (size_t i = 0; i < validation_.size(); ++i) {
      const AnswerStepResult result = evaluate_on(*validation_[i].data, stop_if_asked);
      if (i == 0) {
        all.loss = result.loss;
        all.numbers = numbers_of(result);
      }
      if (validation_.size() > 1)
        all.numbers.emplace_back("loss." + validation_[i].file.name, result.loss);
    }
    return all;
  }

  TaskInputs check() override {
    TaskInputs inputs;
    inputs.data_hash = data_.set().hash;
    return inputs;
  }
  int64_t samples_per_epoch() const override { return data_.size(); }

 private:
  struct Validation {
    NamedShard file;
    std::unique_ptr<AnswerData> data;
  };

  static NamedNumbers numbers_of(const AnswerStepResult& result) {
    NamedNumbers numbers;
    for (const Measured& each : result.metrics)
      if (each.weight > 0) numbers.emplace_back(each.name, each.sum / each.weight);
    numbers.emplace_back("trained_tokens", static_cast<double>(result.counts.tokens));
    return numbers;
  }

  // Over the first validation_samples() packs, without gradients.
  AnswerStepResult evaluate_on(const AnswerData& data, const StopCheck& stop_if_asked) {
    const int64_t asked = recipe_.validation_samples();
    const int64_t packs = asked == 0 ? data.size() : std::min(asked, data.size());
    std::vector<std::vector<const Example*>> micro_batches;
    for (int64_t first = 0; first < packs; first += recipe_.train.batch_size)
      micro_batches.push_back(data.packs(first, std::min(recipe_.train.batch_size, packs - first)));
    return step_.run(micro_batches, {.before_each = stop_if_asked}, nullptr, nullptr);
  }

  const Recipe recipe_;
  const Log log_;
  const std::unique_ptr<AnswerObjective> objective_;
  const OtherModels others_;
  AnswerStep step_;
  const AnswerData data_;
  std::vector<Validation> validation_;
  const double flops_per_token_;
};

}  // namespace

std::unique_ptr<Task> make_answer_task(const TaskSetting& setting) {
  const Recipe& r = setting.recipe;
  if (r.learns_rollouts()) return make_rollout_task(setting);
  require(
      r.train.batch_size > 1 || r.data.packing ||
          !make_answer_objective(r.objective, r.model)->needs().crossed,
      ErrorKind::kConfig, "train.batch_size",
      "{} compares each prompt with the answer of another row of its batch, so that a batch of 1 teaches "
      "nothing; use 2 or more, and objective.loss = \"apo_zero_unpaired\" for one row at a time",
      objective_name(r.objective, r.model));
  return std::make_unique<AnswerTask>(setting);
}

}  // namespace lathe
