#include "lathe/train/task/language_model.h"

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/io/hash.h"
#include "lathe/model/summary.h"
#include "lathe/nn/moe/router_statistics.h"
#include "lathe/ops/cross_entropy.h"
#include "lathe/train/batch_pass.h"
#include "lathe/train/budget.h"
#include "lathe/train/task.h"
#include "lathe/train/task/mtp.h"
#include "lathe/train/validation.h"

namespace lathe {

void LanguageModelConfig::visit(Visitor& v) {
  // The key is older than the name that the field has given to it.
  v.field("further_weight", mtp_weight,
          "with model.num_nextn_predict_layers: weight of their mean loss beside the model's",
          above(0));
  v.field(
      "z_loss", z_loss,
      "adds this times the square of each label's log-sum-exp of logits to the loss, which keeps "
      "logits from drifting (PaLM used 1e-4); `loss` in the metrics is without it",
      at_least(0));
}

namespace {

// Of the content of several shards, in their order.
std::string hash_of_data(const std::vector<ArtefactRef>& shards) {
  if (shards.size() == 1) return shards[0].hash;
  std::string all;
  for (const ArtefactRef& shard : shards) all += shard.hash + "\n";
  return hash_text(all);
}

class LanguageModel : public Task {
 public:
  explicit LanguageModel(const TaskSetting& setting);

  Transformer& model() override { return *model_; }
  TaskStep gradients(int64_t step, const StopCheck& stop_if_asked) override;
  void after_update() override { update_router_biases(sums_.routers); }
  bool evaluates() const override { return !validation_.empty(); }
  TaskEvaluation evaluate(int64_t step, const StopCheck& stop_if_asked) override;
  std::optional<std::string> sample(int64_t step) override;
  TaskInputs check() override;
  int64_t samples_per_epoch() const override { return data_.loader->samples_per_epoch(); }
  std::vector<ShardPlan> data_plan(int64_t steps) const override {
    return plan_data(data_, samples_of(steps));
  }
  std::vector<int64_t> documents_seen(int64_t steps) const override {
    return lathe::documents_seen(data_, samples_of(steps));
  }

 private:
  // What the micro-batches of a step add to, besides gradients.
  struct Sums {
    RouterStatistics routers;
    MtpLoss mtp;
    double z_loss = 0;
    LossByKind by_kind;
  };

  void open_validation(const TrainFacts& facts);
  int64_t samples_of(int64_t steps) const {
    return micro_batches_before(recipe_.train, steps + 1) * recipe_.train.batch_size;
  }
  std::vector<Batch> batches_of(int64_t step) const;
  // Forward and backward of a micro-batch: its loss, summed over its labels and divided by
  // `normalizer`.
  double backward(Forward f, const Batch& batch, double normalizer);
  NamedNumbers numbers() const;

  const Recipe recipe_;
  const Log log_;
  const std::function<std::string(Transformer& model)> sample_;
  std::unique_ptr<Transformer> model_;
  std::shared_ptr<const RowFormat> format_;
  const double flops_per_step_;  // once the batch ramp is over
  TrainingData data_;
  std::vector<ValidationSet> validation_;
  Sums sums_;  // of the last step
};

double flops_of_step(Transformer& model, const TrainConfig& t, const RowLengths& rows) {
  return static_cast<double>(t.batch_size * rows.ids * t.grad_accumulation) *
         model_cost(model, {.seq_len = rows.ids, .text_len = rows.text}).training_flops;
}

LanguageModel::LanguageModel(const TaskSetting& setting)
    : recipe_(setting.recipe),
      log_(setting.callbacks.log),
      sample_(setting.callbacks.sample),
      model_(make_training_model(recipe_, log_)),
      format_(make_row_format(recipe_.objective, recipe_.model, recipe_.train.seq_len)),
      flops_per_step_(flops_of_step(*model_, recipe_.train, format_->longest())),
      data_(open_training_data(recipe_, format_)) {
  open_validation(setting.facts);
}

void LanguageModel::open_validation(const TrainFacts& facts) {
  for (const std::string& text : recipe_.data.valid)
    validation_.emplace_back(
        parse_named_shard(text),
        ValidationOptions{
            .seq_len = recipe_.train.seq_len,
            .batch_size = recipe_.train.batch_size,
            .samples = recipe_.validation_samples(),
            .vocab_size = recipe_.model.vocab_size,
            .document_mask = recipe_.data.document_mask,
            .format = format_,
            .token_bytes = format_->is_plain_text() ? facts.token_bytes : std::vector<int32_t>()});
}

std::vector<Batch> LanguageModel::batches_of(int64_t step) const {
  const int64_t first = micro_batches_before(recipe_.train, step);
  std::vector<Batch> batches;
  for (int64_t micro = 0; micro < micro_batches(recipe_.train, step); ++micro)
    batches.push_back(data_.loader->batch(first + micro));
  return batches;
}

double LanguageModel::backward(Forward f, const Batch& batch, double normalizer) {
  const BatchPass pass(*model_, std::move(f), batch, recipe_.recompute());
  const LanguageModelConfig& config = recipe_.objective.language_model;
  double z_term = 0;
  Tensor losses;
  const Var loss = ops::linear_cross_entropy(
      pass.hidden, model_->head(pass.forward), batch.labels,
      {.normalizer = normalizer, .z_loss = config.z_loss, .z_term = &z_term, .losses = &losses});
  sums_.z_loss += z_term;
  add_by_kind(batch, losses, sums_.by_kind);
  pass.forward.tape->backward(add_mtp_loss(*model_, pass.forward, batch, pass.hidden, loss,
                                           normalizer, config.mtp_weight, sums_.mtp));
  return loss.value.item() - z_term;
}

TaskStep LanguageModel::gradients(int64_t step, const StopCheck& stop_if_asked) {
  const TrainConfig& t = recipe_.train;
  const std::vector<Batch> batches = batches_of(step);
  int64_t labels = 0;
  for (const Batch& batch : batches) labels += batch.label_count;
  require(labels > 0, ErrorKind::kData, join(recipe_.data.train, ", "),
          "step {} has no token to predict: every document in it is one token long", step);
  const Rng dropout =
      Rng(static_cast<uint64_t>(t.seed)).fork("dropout").fork(static_cast<uint64_t>(step));
  TaskStep result;
  sums_ = Sums();
  for (size_t micro = 0; micro < batches.size(); ++micro) {
    const Batch& batch = batches[micro];
    if (batch.label_count == 0) continue;
    Tape tape(
        {.keep_cheap = recipe_.recompute() != Recompute::kSelective, .before_each = stop_if_asked});
    Forward f;
    f.tape = &tape;
    f.training = true;
    f.rng = dropout.fork(micro);
    f.auxiliary_scale = static_cast<double>(batch.label_count) / static_cast<double>(labels);
    f.router_statistics = &sums_.routers;
    result.loss += backward(std::move(f), batch, static_cast<double>(labels));
    sums_.routers.end_micro_batch();
  }
  const auto count = static_cast<int64_t>(batches.size());
  result.tokens = t.batch_size * t.seq_len * count;
  result.flops =
      flops_per_step_ * static_cast<double>(count) / static_cast<double>(t.grad_accumulation);
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

TaskEvaluation LanguageModel::evaluate(int64_t, const StopCheck& stop_if_asked) {
  TaskEvaluation result;
  for (size_t i = 0; i < validation_.size(); ++i) {
    const ValidationLoss loss = validation_[i].measure(*model_, [&](int64_t) { stop_if_asked(); });
    if (i == 0) {
      result.loss = loss.loss();
      if (const auto bits = loss.bits_per_byte())
        result.numbers.emplace_back("bits_per_byte", *bits);
      for (const auto& [kind, sum] : loss.kinds)
        result.numbers.emplace_back("loss." + kind, sum.mean());
    }
    if (validation_.size() > 1)
      result.numbers.emplace_back("loss." + validation_[i].name(), loss.loss());
  }
  return result;
}

std::optional<std::string> LanguageModel::sample(int64_t) {
  if (!sample_) return std::nullopt;
  return sample_(*model_);
}

// Ids that the model has no row for, and the hashes of all shards.
TaskInputs LanguageModel::check() {
  constexpr int64_t kMany = 1'000'000'000;  // tokens, which take seconds
  Manifest inputs;
  for (const auto& shard : data_.shards) {
    if (shard->num_tokens() > kMany)
      log_.info("reading through {}: its ids and its hash", shard->prefix().string());
    shard->check_ids(recipe_.model.vocab_size);
    add_input(inputs, shard->prefix(), "shard");
  }
  const std::string data_hash = hash_of_data(inputs.inputs);
  for (const ValidationSet& set : validation_) {
    set.shard().check_ids(recipe_.model.vocab_size);
    add_input(inputs, set.prefix(), "shard");
  }
  return {std::move(inputs.inputs), data_hash};
}

}  // namespace

std::unique_ptr<Task> make_language_model(const TaskSetting& setting) {
  return std::make_unique<LanguageModel>(setting);
}

}  // namespace lathe
