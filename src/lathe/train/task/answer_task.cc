#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/io/hash.h"
#include "lathe/io/json_file.h"
#include "lathe/train/example/data_card.h"
#include "lathe/train/task/answer_data.h"
#include "lathe/train/task/other_models.h"
#include "lathe/train/task/pretraining_text.h"
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
        replay_(make_replay(recipe_, others_.all())),
        data_(recipe_, examples_for(setting.callbacks, recipe_.data.train, training_options())),
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
    const AnswerStepSettings settings{.training = true,
                                      .recompute = recipe_.recompute(),
                                      .embedding_noise = recipe_.train.neftune_noise_alpha,
                                      .dropout = dropout,
                                      .scale = replay_ ? 1 - replay_->weight() : 1.0,
                                      .before_each = stop_if_asked};
    AnswerStepResult result = step_.run(micro_batches, settings, &gradients, nullptr);
    TaskStep taken{.loss = result.loss, .numbers = numbers_of(result)};
    for (const auto& micro : result.micro_batches)
      taken.tokens += micro.batch.inputs.rows.tokens() +
                      (micro.batch.inputs.text ? micro.batch.inputs.text->tokens() : 0);
    if (replay_) replay(step, settings, gradients, result, taken);
    taken.flops = flops_per_token_ * static_cast<double>(taken.tokens);
    remember(gradients, result.routers);
    return taken;
  }
  // The card of the rows, for the run's report; one that goes on has it.
  void begin(const std::filesystem::path& out, int64_t) override {
    if (data_.set().card == nullptr || std::filesystem::exists(out / kDataCardFile)) return;
    DataCard card = *data_.set().card;
    add_tokens(data_.set(), card);
    write_json_file(out / kDataCardFile, card.to_json());
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
    TaskInputs inputs = inputs_of(recipe_, data_.set().hash);
    if (replay_) replay_->add_inputs(inputs);
    return inputs;
  }
  int64_t samples_per_epoch() const override { return data_.size(); }

 private:
  struct Validation {
    NamedShard file;
    std::unique_ptr<AnswerData> data;
  };

  ExampleOptions training_options() const {
    ExampleOptions options = example_options(recipe_, objective_->needs().kind);
    options.card =
        !std::filesystem::exists(std::filesystem::path(recipe_.train.out) / kDataCardFile);
    return options;
  }

  // Replayed text beside the answers of `result`: its gradients, and what it adds to the step.
  void replay(int64_t step, const AnswerStepSettings& settings, ParameterGradients& gradients,
              AnswerStepResult& result, TaskStep& taken) {
    const PretrainingText::Learnt old =
        replay_->run(step, result.counts.tokens, settings, gradients);
    result.routers.add(old.routers);
    taken.loss = settings.scale * result.loss + replay_->weight() * old.loss;
    taken.tokens += old.tokens;
    taken.numbers.emplace_back("objective_loss", result.loss);
    taken.numbers.emplace_back("replay_loss", old.loss);
    taken.numbers.emplace_back("replay_tokens", static_cast<double>(old.trained_tokens));
  }

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
  const std::unique_ptr<PretrainingText> replay_;
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
