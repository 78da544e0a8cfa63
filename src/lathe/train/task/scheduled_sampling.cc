// Scheduled sampling (Bengio et al. 2015, arXiv:1506.03099; in parallel, for transformers: Mihaylova &
// Martins 2019, arXiv:1906.07651): next-token prediction where some of the inputs are what the model
// itself would have said in their place, so that it learns to go on from its own mistakes.
//
//   p = sample_rate · min(1, step / sample_ramp)
//   x'_t = argmax of the logits at t−1 with probability p, else x_t        (x'_0 = x_0)
//   loss = Σ −log p(x_{t+1} | x'_0 … x'_t) / labels

#include <algorithm>

#include "lathe/model/summary.h"
#include "lathe/ops/cross_entropy.h"
#include "lathe/train/batch_pass.h"
#include "lathe/train/objectives.h"
#include "lathe/train/task/text_data.h"

namespace lathe {
namespace {

struct ScheduledSamplingConfig {
  double sample_rate = 0.25;
  int64_t sample_ramp = 1000;
  void visit(Visitor& v) {
    v.field("sample_rate", sample_rate,
            "scheduled_sampling: share of the inputs that the model says itself", between(0, 1));
    v.field("sample_ramp", sample_ramp, "scheduled_sampling: steps over which the share grows",
            at_least(1));
  }
};

std::unique_ptr<RowFormat> next_token(const Recipe& recipe) {
  ObjectiveConfig rows;
  rows.name = "next_token";
  return make_row_format(rows, recipe.model, recipe.train.seq_len);
}

class ScheduledSampling : public Task {
 public:
  ScheduledSampling(const TaskSetting& setting, const ScheduledSamplingConfig& config)
      : recipe_(setting.recipe),
        config_(config),
        model_(make_training_model(recipe_, setting.callbacks.log)),
        data_(setting, next_token(recipe_)) {}

  Transformer& model() override { return *model_; }
  TaskStep gradients(int64_t step, const StopCheck& stop_if_asked) override;
  bool evaluates() const override { return data_.has_validation(); }
  TaskEvaluation evaluate(int64_t, const StopCheck& stop_if_asked) override {
    return data_.evaluate(*model_, stop_if_asked);
  }
  TaskInputs check() override { return data_.check(); }
  int64_t samples_per_epoch() const override { return data_.samples_per_epoch(); }

 private:
  Tensor with_own_words(const Batch& batch, double rate, const Rng& rng);
  double backward(const Batch& batch, const Tensor& ids, double normalizer,
                  const StopCheck& stop_if_asked);

  const Recipe recipe_;
  const ScheduledSamplingConfig config_;
  std::unique_ptr<Transformer> model_;
  TextData data_;
};

Tensor ScheduledSampling::with_own_words(const Batch& batch, double rate, const Rng& rng) {
  ModelPass pass(*model_, {});
  const Tensor logits = pass.logits(pass.hidden(inputs_of(batch))).value.to(DType::kF32);
  const int64_t width = batch.ids.size(1), vocabulary = logits.size(1);
  Tensor ids = batch.ids.clone();
  for (int64_t i = 0; i < ids.numel(); ++i) {
    if (i % width == 0 || rng.uniform64(static_cast<uint64_t>(i)) >= rate) continue;
    const float* said = logits.data<float>() + (i - 1) * vocabulary;
    ids.data<int32_t>()[i] = static_cast<int32_t>(std::max_element(said, said + vocabulary) - said);
  }
  return ids;
}

double ScheduledSampling::backward(const Batch& batch, const Tensor& ids, double normalizer,
                                   const StopCheck& stop_if_asked) {
  Tape tape({.before_each = stop_if_asked});
  ModelPass pass(*model_, {.tape = &tape, .training = true}, Rng(0), recipe_.recompute());
  Batch heard = batch;
  heard.ids = ids;
  const Var loss = ops::linear_cross_entropy(pass.hidden(inputs_of(heard)), pass.head(),
                                             batch.labels, {.normalizer = normalizer});
  tape.backward(loss);
  return loss.value.item();
}

TaskStep ScheduledSampling::gradients(int64_t step, const StopCheck& stop_if_asked) {
  const double grown = static_cast<double>(step) / static_cast<double>(config_.sample_ramp),
               rate = config_.sample_rate * std::min(1.0, grown);
  const Rng rng = Rng(static_cast<uint64_t>(recipe_.train.seed))
                      .fork("own words")
                      .fork(static_cast<uint64_t>(step));
  const std::vector<Batch> batches = data_.batches(step);
  TaskStep result{.tokens = data_.tokens(step)};
  int64_t changed = 0;
  for (size_t micro = 0; micro < batches.size(); ++micro) {
    const Batch& batch = batches[micro];
    const Tensor ids = with_own_words(batch, rate, rng.fork(micro));
    for (int64_t i = 0; i < ids.numel(); ++i)
      changed += ids.data<int32_t>()[i] != batch.ids.data<int32_t>()[i];
    const auto labels =
        static_cast<double>(batch.labels.numel() * static_cast<int64_t>(batches.size()));
    result.loss += backward(batch, ids, labels, stop_if_asked);
  }
  // A forward, which is a third of a step, and a step.
  result.flops = 4.0 / 3 * static_cast<double>(result.tokens) *
                 model_cost(*model_, {.seq_len = recipe_.train.seq_len}).training_flops;
  result.numbers = {
      {"own_words", static_cast<double>(changed) / static_cast<double>(result.tokens)}};
  return result;
}

}  // namespace

Objective scheduled_sampling_objective() {
  return objective<ScheduledSamplingConfig>(
      {.name = "scheduled_sampling",
       .summary = "the next token, after inputs of which the model said some itself",
       .source =
           "Bengio et al. 2015, arXiv:1506.03099; Mihaylova & Martins 2019, arXiv:1906.07651"},
      {"decoder"}, [](const TaskSetting& s) -> std::unique_ptr<Task> {
        return std::make_unique<ScheduledSampling>(
            s, s.recipe.objective.components.get<ScheduledSamplingConfig>());
      });
}

}  // namespace lathe
