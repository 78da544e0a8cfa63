// A step: for each micro-batch a fresh tape, the loss over all labels of the step, the backward
// into the parameters' gradient buffers; then the norm, the clip and the update. Everything random
// is drawn from a stream named by the step and the micro-batch, so a run that stops and resumes
// does exactly what an unbroken one does.

#include "lathe/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/process.h"
#include "lathe/base/strings.h"
#include "lathe/model/folder.h"
#include "lathe/model/summary.h"
#include "lathe/ops/cross_entropy.h"
#include "lathe/ops/elementwise.h"
#include "lathe/optim/clip.h"
#include "lathe/optim/name_rules.h"
#include "lathe/optim/optimizers.h"
#include "lathe/train/batch_pass.h"
#include "lathe/train/budget.h"

namespace lathe {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Weights and gradients alone, of which every element will be touched; said before the system ends
// the program without a word.
void require_memory(Transformer& model, const Recipe& recipe) {
  constexpr double kGiB = 1 << 30;
  const ModelCost cost =
      model_cost(model, {.seq_len = recipe.train.seq_len, .compute = recipe.compute_dtype()});
  const int64_t needed = cost.weight_bytes + cost.gradient_bytes, there = physical_memory_bytes();
  require(
      there == 0 || needed <= there, ErrorKind::kConfig, "model",
      "{} parameters take {:.0f} GiB of weights and gradients, and this machine has {:.0f} GiB; "
      "train a smaller model (`lathe inspect` shows what each costs)",
      cost.parameters, static_cast<double>(needed) / kGiB, static_cast<double>(there) / kGiB);
}

}  // namespace

bool Trainer::LossStatistics::is_spike(double loss, double deviations) const {
  constexpr int64_t kEnough = 20;  // steps before the statistics mean something
  return deviations > 0 && count >= kEnough && loss > mean + deviations * std::sqrt(variance);
}

void Trainer::LossStatistics::add(double loss) {
  constexpr double kMemory = 0.02;  // about the last fifty steps
  const double weight = std::max(kMemory, 1.0 / static_cast<double>(++count));
  const double difference = loss - mean;
  mean += weight * difference;
  variance = (1.0 - weight) * (variance + weight * difference * difference);
}

Trainer::Trainer(Recipe recipe, TrainHooks hooks)
    : recipe_(std::move(recipe)),
      hooks_(std::move(hooks)),
      checkpoints_(
          std::filesystem::path(recipe_.train.out) / "checkpoints",
          {.keep_last = recipe_.train.keep_last,
           .keep_every = recipe_.train.keep_every,
           .on_part = hooks_.on_checkpoint_part,
           .complete = [this](const auto& folder, const auto& final_path, const auto& state) {
             complete_checkpoint(folder, final_path, state);
           }}) {
  const TrainConfig& t = recipe_.train;
  const Rng seed(static_cast<uint64_t>(t.seed));
  model_ = std::make_unique<Transformer>(recipe_.model);
  require_memory(*model_, recipe_);
  const Device device = recipe_.compute_device();
  model_->allocate(device == Device::kRef ? DType::kF64 : DType::kF32, device);
  if (recipe_.from) {
    load_weights(*model_, *recipe_.from, hooks_.log);
  } else {
    model_->initialize(seed.fork("init"));
  }
  prepare_parameters();
  open_data();
  spend_budget();
}

// The budget in steps, unless it is one of time: that is measured when the run begins.
void Trainer::spend_budget() {
  TrainConfig& t = recipe_.train;
  if (!t.budget) return;
  const Budget budget = parse_budget(*t.budget);
  const SampleSource& source = data_.loader->source();
  switch (budget.unit) {
    case Budget::Unit::kHours:
      hours_ = budget.amount;
      break;
    case Budget::Unit::kSteps:
      t.steps = std::max<int64_t>(1, std::llround(budget.amount));
      break;
    case Budget::Unit::kTokens:
      t.steps = steps_for_samples(t, budget.amount / static_cast<double>(t.seq_len));
      break;
    case Budget::Unit::kEpochs:
      t.steps =
          steps_for_samples(t, budget.amount * static_cast<double>(source.samples_per_epoch()));
      break;
  }
  t.budget.reset();
}

double Trainer::measure_step_seconds() {
  constexpr int64_t kTried = 3;  // after one that is slower than the rest
  const int64_t full = std::max<int64_t>(1, recipe_.train.batch_ramp);
  accumulate_gradients(full);
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < kTried; ++i) accumulate_gradients(full);
  return seconds_since(start) / static_cast<double>(kTried);
}

int64_t Trainer::steps_in(double hours) {
  constexpr double kOverhead = 1.1;  // update, validations, checkpoints
  const double seconds = measure_step_seconds() * kOverhead;
  return std::max<int64_t>(1, static_cast<int64_t>(hours * 3600 / seconds));
}

int64_t Trainer::state_bytes() {
  optimizer_->prepare(trained_);
  int64_t bytes = optimizer_->bytes() + (ema_ ? ema_->bytes() : 0);
  for (const Parameter* p : parameters_) {
    bytes += static_cast<int64_t>(p->value.bytes());
    if (!p->compute.shares_storage(p->value)) bytes += static_cast<int64_t>(p->compute.bytes());
    if (p->trainable) bytes += static_cast<int64_t>(p->grad.tensor.bytes());
  }
  return bytes;
}

void Trainer::open_data() {
  const TrainConfig& t = recipe_.train;
  format_ = make_row_format(recipe_.objective, recipe_.model, t.seq_len);
  const RowLengths rows = format_->longest();
  flops_per_step_ =
      static_cast<double>(t.batch_size * rows.ids * t.grad_accumulation) *
      model_cost(*model_, {.seq_len = rows.ids, .text_len = rows.text}).training_flops;
  data_ = open_training_data(recipe_, format_);
  // Sentinels stand for no bytes.
  for (const std::string& text : recipe_.data.valid)
    validation_.emplace_back(
        parse_named_shard(text),
        ValidationOptions{
            .seq_len = t.seq_len,
            .batch_size = t.batch_size,
            .samples = recipe_.validation_samples(),
            .vocab_size = recipe_.model.vocab_size,
            .document_mask = recipe_.data.document_mask,
            .format = format_,
            .token_bytes = format_->is_plain_text() ? hooks_.token_bytes : std::vector<int32_t>()});
}

std::vector<ShardPlan> Trainer::data_plan() const {
  return plan_data(data_, micro_batches_before(recipe_.train, recipe_.train.steps + 1) *
                              recipe_.train.batch_size);
}

std::vector<int64_t> Trainer::documents_seen() const {
  if (!branches_.empty()) return {};
  return lathe::documents_seen(
      data_, micro_batches_before(recipe_.train, taken_ + 1) * recipe_.train.batch_size);
}

void Trainer::prepare_parameters() {
  parameters_ = model_->parameters();
  const DType compute = recipe_.compute_dtype();
  for (Parameter* p : parameters_) {
    // Gains, biases and routers stay in fp32: they are small, and kernels take them so.
    const bool narrow = p->shape.rank() >= 2 && !p->full_precision;
    p->compute = narrow ? p->value.to(compute) : p->value;
    if (!p->trainable) continue;
    p->grad.tensor = Tensor(p->shape, p->value.dtype(), p->value.device());
    p->grad.written = false;
    trained_.push_back(p);
  }
  NameRules(recipe_.optim).require_matches(trained_);
  optimizer_ = make_optimizer(recipe_.optim, trained_);
  if (recipe_.train.ema_decay > 0) ema_ = std::make_unique<Ema>(recipe_.train.ema_decay, trained_);
}

namespace {

// Row by row `by` places earlier; what is missing at the end becomes `filling`.
Tensor earlier(const Tensor& rows, int64_t by, int32_t filling) {
  Tensor out(rows.shape(), DType::kI32);
  const int64_t width = rows.size(1);
  for (int64_t b = 0; b < rows.size(0); ++b)
    for (int64_t t = 0; t < width; ++t)
      out.data<int32_t>()[b * width + t] =
          t + by < width ? rows.data<int32_t>()[b * width + t + by] : filling;
  return out;
}

// Labels `by` places ahead; none where that token belongs to another document.
Tensor labels_ahead(const Batch& batch, int64_t by) {
  Tensor labels = earlier(batch.labels, by, -1);
  if (!batch.segments.defined()) return labels;
  const Tensor segments = earlier(batch.segments, by, -1);
  for (int64_t i = 0; i < labels.numel(); ++i)
    if (segments.data<int32_t>()[i] != batch.segments.data<int32_t>()[i])
      labels.data<int32_t>()[i] = -1;
  return labels;
}

}  // namespace

Var Trainer::with_further(const Forward& f, const Batch& batch, Var hidden, Var loss,
                          double normalizer) {
  const int64_t modules = recipe_.model.num_nextn_predict_layers;
  const double weight = recipe_.objective.further_weight / static_cast<double>(modules);
  for (int64_t depth = 1; depth <= modules; ++depth) {
    hidden = model_->hidden_ahead(f, depth, hidden, earlier(batch.ids, depth, 0));
    const Tensor labels = labels_ahead(batch, depth);
    if (std::ranges::max(labels.span<int32_t>()) < 0) break;  // rows too short to look so far
    const Var further = ops::linear_cross_entropy(hidden, model_->head(f), labels,
                                                  {.normalizer = normalizer / weight});
    further_sum_ += further.value.item() * normalizer / weight;
    further_labels_ +=
        std::ranges::count_if(labels.span<int32_t>(), [](int32_t label) { return label >= 0; });
    loss = ops::add(loss, further);
  }
  return loss;
}

double Trainer::backward(Forward f, const Batch& batch, double normalizer) {
  const BatchPass pass(*model_, std::move(f), batch, recipe_.recompute());
  double z_term = 0;
  Tensor losses;
  const Var loss = ops::linear_cross_entropy(pass.hidden, model_->head(pass.forward), batch.labels,
                                             {.normalizer = normalizer,
                                              .z_loss = recipe_.objective.z_loss,
                                              .z_term = &z_term,
                                              .losses = &losses});
  z_loss_ += z_term;
  add_by_kind(batch, losses, by_kind_);
  pass.forward.tape->backward(with_further(pass.forward, batch, pass.hidden, loss, normalizer));
  return loss.value.item() - z_term;
}

double Trainer::accumulate_gradients(int64_t step) {
  const TrainConfig& t = recipe_.train;
  std::vector<Batch> batches;
  int64_t labels = 0;
  const int64_t first = micro_batches_before(t, step);
  for (int64_t micro = 0; micro < micro_batches(t, step); ++micro) {
    batches.push_back(data_.loader->batch(first + micro));
    labels += batches.back().label_count;
  }
  require(labels > 0, ErrorKind::kData, join(recipe_.data.train, ", "),
          "step {} has no token to predict: every document in it is one token long", step);
  const Rng dropout =
      Rng(static_cast<uint64_t>(t.seed)).fork("dropout").fork(static_cast<uint64_t>(step));
  double loss = 0;
  for (Parameter* p : trained_) p->grad.written = false;
  router_statistics_ = RouterStatistics();
  z_loss_ = further_sum_ = 0;
  further_labels_ = 0;
  by_kind_.clear();
  for (size_t micro = 0; micro < batches.size(); ++micro) {
    const Batch& batch = batches[micro];
    if (batch.label_count == 0) continue;
    Tape tape({.keep_cheap = recipe_.recompute() != Recompute::kSelective,
               .before_each = [this] { stop_if_asked(); }});
    Forward f;
    f.tape = &tape;
    f.training = true;
    f.rng = dropout.fork(micro);
    f.auxiliary_scale = static_cast<double>(batch.label_count) / static_cast<double>(labels);
    f.router_statistics = &router_statistics_;
    loss += backward(std::move(f), batch, static_cast<double>(labels));
    router_statistics_.end_micro_batch();
  }
  return loss;
}

StepReport Trainer::step(int64_t step) {
  const auto start = std::chrono::steady_clock::now();
  const TrainConfig& t = recipe_.train;
  StepReport report{
      .step = step, .steps = t.steps, .tokens = t.batch_size * t.seq_len * micro_batches(t, step)};
  report.loss = accumulate_gradients(step);
  report.grad_norm = global_grad_norm(trained_);
  report.lr =
      learning_rate(recipe_.schedule, recipe_.optim.lr, step, recipe_.schedule.span(t.steps));
  const bool finite = std::isfinite(report.loss) && std::isfinite(report.grad_norm);
  if (!finite && t.spike_skip == 0) fail_not_finite(report);
  report.skipped = !finite || loss_statistics_.is_spike(report.loss, t.spike_skip);
  if (finite) loss_statistics_.add(report.loss);
  const auto before_wait = std::chrono::steady_clock::now();
  checkpoints_.wait_until_read();
  report.waited = seconds_since(before_wait);
  updating_ = true;
  if (!report.skipped) {
    const double clip = clip_factor(report.grad_norm, recipe_.optim.grad_clip);
    optimizer_->step(trained_, {.step = ++updates_, .lr = report.lr, .grad_scale = clip});
    if (ema_) ema_->update(trained_, updates_);
    update_router_biases(router_statistics_);
  }
  updating_ = false;
  taken_ = step;
  report.routers = router_statistics_.summary();
  if (recipe_.objective.z_loss > 0) report.z_loss = z_loss_;
  if (further_labels_ > 0) report.mtp_loss = further_sum_ / static_cast<double>(further_labels_);
  for (const auto& [kind, sum] : by_kind_) report.parts.emplace_back(kind, sum.mean());
  report.seconds = seconds_since(start);
  report.flops = flops_per_step_ * static_cast<double>(micro_batches(t, step)) /
                 static_cast<double>(t.grad_accumulation);
  report.tokens_so_far = tokens_ += report.tokens;
  report.flops_so_far = flops_ += report.flops;
  return report;
}

void Trainer::use_averages(std::optional<EmaScope>& scope) {
  if (!ema_) return;
  checkpoints_.wait_until_read();  // the exchange writes to both
  scope.emplace(*ema_, trained_);
}

EvalReport Trainer::evaluate(int64_t step) {
  require(!validation_.empty(), ErrorKind::kConfig, "data.valid", "no validation shard was given");
  std::optional<EmaScope> averaged;
  use_averages(averaged);
  EvalReport report{.step = step, .loss = 0, .bits_per_byte = {}, .parts = {}};
  for (size_t i = 0; i < validation_.size(); ++i) {
    const ValidationLoss loss =
        validation_[i].measure(*model_, [this](int64_t) { stop_if_asked(); });
    if (i == 0) {
      report.loss = loss.loss();
      report.bits_per_byte = loss.bits_per_byte();
      for (const auto& [kind, sum] : loss.kinds) report.parts.emplace_back(kind, sum.mean());
    }
    if (validation_.size() > 1) report.parts.emplace_back(validation_[i].name(), loss.loss());
  }
  return report;
}

}  // namespace lathe
