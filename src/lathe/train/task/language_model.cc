#include "lathe/train/task/language_model.h"

#include "lathe/model/summary.h"
#include "lathe/nn/moe/router_statistics.h"
#include "lathe/ops/cross_entropy.h"
#include "lathe/train/batch_pass.h"
#include "lathe/train/task.h"
#include "lathe/train/task/mtp.h"
#include "lathe/train/task/old_mixture.h"
#include "lathe/train/task/text_data.h"

namespace lathe {

void LanguageModelConfig::visit(Visitor& v) {
  // The key is older than the name that the field has given to it.
  v.field("further_weight", mtp_weight,
          "with model.num_nextn_predict_layers: weight of their mean loss, which is added to the "
          "model's",
          above(0));
  v.field("z_loss", z_loss,
          "weight of the squared log-sum-exp of each label's logits, which is added to the loss to "
          "keep logits from drifting (PaLM used 1e-4); `loss` in the metrics does not include it",
          at_least(0));
}

namespace {

class LanguageModel : public Task {
 public:
  explicit LanguageModel(const TaskSetting& setting);

  Transformer& model() override { return *model_; }
  TaskStep gradients(int64_t step, ParameterGradients& gradients,
                     const StopCheck& stop_if_asked) override;
  void after_update(const StepInfo&, const TensorOf&) override {
    update_router_biases(sums_.routers);
  }
  bool evaluates() const override { return data_.has_validation(); }
  TaskEvaluation evaluate(int64_t, const StopCheck& stop_if_asked) override {
    return data_.evaluate(*model_, stop_if_asked);
  }
  NamedNumbers old_losses(const StopCheck& stop_if_asked) override {
    return old_mixture_.losses(*model_, nullptr, stop_if_asked);
  }
  std::optional<std::string> sample(int64_t step) override;
  TaskInputs check() override;
  int64_t samples_per_epoch() const override { return data_.samples_per_epoch(); }
  std::vector<ShardPlan> data_plan(int64_t steps) const override { return data_.plan(steps); }
  std::vector<int64_t> documents_seen(int64_t steps) const override {
    return data_.documents_seen(steps);
  }

 private:
  // What the micro-batches of a step add to, besides gradients.
  struct Sums {
    RouterStatistics routers;
    MtpLoss mtp;
    double z_loss = 0;
    LossByKind by_kind;
  };

  // Forward and backward of a micro-batch: its loss, summed over its labels and divided by
  // `normalizer`.
  double backward(const Pass& settings, const Rng& rng, const Batch& batch, double normalizer);
  NamedNumbers numbers() const;

  const Recipe recipe_;
  const std::function<std::string(Transformer& model)> sample_;
  std::unique_ptr<Transformer> model_;
  std::shared_ptr<const RowFormat> format_;
  const double flops_per_step_;  // once the batch ramp is over
  TextData data_;
  const OldMixture old_mixture_;
  Sums sums_;  // of the last step
};

double flops_of_step(Transformer& model, const TrainConfig& t, const RowLengths& rows) {
  return static_cast<double>(t.batch_size * rows.ids * t.grad_accumulation) *
         model_cost(model, {.seq_len = rows.ids, .text_len = rows.text}).training_flops;
}

LanguageModel::LanguageModel(const TaskSetting& setting)
    : recipe_(setting.recipe),
      sample_(setting.callbacks.sample),
      model_(make_training_model(recipe_, setting.callbacks.log)),
      format_(make_row_format(recipe_.objective, recipe_.model, recipe_.train.seq_len)),
      flops_per_step_(flops_of_step(*model_, recipe_.train, format_->longest())),
      data_(setting, format_),
      old_mixture_(recipe_) {}

TaskInputs LanguageModel::check() {
  TaskInputs inputs = data_.check();
  Manifest old;
  old_mixture_.add_inputs(old);
  inputs.artefacts.insert(inputs.artefacts.end(), old.inputs.begin(), old.inputs.end());
  return inputs;
}

double LanguageModel::backward(const Pass& settings, const Rng& rng, const Batch& batch,
                               double normalizer) {
  ModelPass pass(*model_, settings, rng, recipe_.recompute());
  const Var hidden = pass.hidden(inputs_of(batch));
  const LanguageModelConfig& config = recipe_.objective.language_model;
  double z_term = 0;
  Tensor losses;
  const Var loss = ops::linear_cross_entropy(
      hidden, pass.head(), batch.labels,
      {.normalizer = normalizer, .z_loss = config.z_loss, .z_term = &z_term, .losses = &losses});
  sums_.z_loss += z_term;
  add_by_kind(batch, losses, sums_.by_kind);
  settings.tape->backward(add_mtp_loss(pass, recipe_.model.num_nextn_predict_layers, batch, hidden,
                                       loss, normalizer, config.mtp_weight, sums_.mtp));
  return loss.value.item() - z_term;
}

TaskStep LanguageModel::gradients(int64_t step, ParameterGradients& gradients,
                                  const StopCheck& stop_if_asked) {
  const TrainConfig& t = recipe_.train;
  const std::vector<Batch> batches = data_.batches(step);
  int64_t labels = 0;
  for (const Batch& batch : batches) labels += batch.label_count;
  const Rng dropout =
      Rng(static_cast<uint64_t>(t.seed)).fork("dropout").fork(static_cast<uint64_t>(step));
  TaskStep result;
  sums_ = Sums();
  for (size_t micro = 0; micro < batches.size(); ++micro) {
    const Batch& batch = batches[micro];
    if (batch.label_count == 0) continue;
    Tape tape(
        {.keep_cheap = recipe_.recompute() != Recompute::kSelective, .before_each = stop_if_asked});
    const Pass settings{
        .tape = &tape,
        .gradients = &gradients,
        .training = true,
        .router_statistics = &sums_.routers,
        .auxiliary_scale = static_cast<double>(batch.label_count) / static_cast<double>(labels)};
    result.loss += backward(settings, dropout.fork(micro), batch, static_cast<double>(labels));
    sums_.routers.end_micro_batch();
  }
  result.tokens = data_.tokens(step);
  result.flops = flops_per_step_ * static_cast<double>(batches.size()) /
                 static_cast<double>(t.grad_accumulation);
  result.numbers = numbers();
  return result;
}

NamedNumbers LanguageModel::numbers() const {
  NamedNumbers all;
  if (const auto routers = sums_.routers.summary())
    all = {{"moe.load_max", routers->load_max},
           {"moe.drop_rate", routers->drop_rate},
           {"moe.entropy", routers->entropy},
           {"moe.balance_loss", routers->balance_loss},
           {"moe.z_loss", routers->z_loss}};
  if (sums_.mtp.labels > 0)
    all.emplace_back("mtp_loss", sums_.mtp.sum / static_cast<double>(sums_.mtp.labels));
  if (recipe_.objective.language_model.z_loss > 0) all.emplace_back("z_loss", sums_.z_loss);
  for (const auto& [kind, sum] : sums_.by_kind) all.emplace_back("loss." + kind, sum.mean());
  return all;
}

std::optional<std::string> LanguageModel::sample(int64_t) {
  if (!sample_) return std::nullopt;
  return sample_(*model_);
}

}  // namespace

std::unique_ptr<Task> make_language_model(const TaskSetting& setting) {
  return std::make_unique<LanguageModel>(setting);
}

}  // namespace lathe
