#include "lathe/train/training_state.h"

#include "lathe/model/weight_map.h"
#include "lathe/optim/clip.h"
#include "lathe/optim/name_rules.h"
#include "lathe/optim/optimizers.h"

namespace lathe {
namespace {

// Before the names of master weights in the optimiser's file, where the model's file holds averages.
constexpr std::string_view kMaster = "master/";

// A tensor of the model's file, from and to what `of` gives of a parameter.
CheckpointTensor on_disk(const DiskTensor& t, const DiskTensor::Of& of) {
  const DType dtype = t.pieces[0].parameter->value.dtype();
  return {t.name, t.shape, dtype, [t, of] { return t.gather(of); },
          [t, of](const Tensor& stored) { t.scatter(stored, of); }};
}

// Gains, biases and routers stay in fp32: they are small, and kernels take them so.
Tensor compute_copy(const Parameter& p, DType compute) {
  return p.shape.rank() >= 2 && !p.full_precision ? p.value.to(compute) : p.value;
}

}  // namespace

TrainingState::TrainingState(Transformer& model, const Recipe& recipe)
    : model_(model), ema_decay_(recipe.train.ema_decay), parameters_(model.parameters()) {
  for (Parameter* p : parameters_) {
    p->compute = compute_copy(*p, recipe.compute_dtype());
    if (!p->trainable) continue;
    p->grad.tensor = Tensor(p->shape, p->value.dtype(), p->value.device());
    p->grad.written = false;
    trained_.push_back(p);
  }
  NameRules(recipe.optim).require_matches(trained_);
  optimizer_ = make_optimizer(recipe.optim, trained_);
  if (ema_decay_ > 0) ema_ = std::make_unique<Ema>(ema_decay_, trained_);
}

void TrainingState::clear_gradients() {
  for (Parameter* p : trained_) p->grad.written = false;
}

double TrainingState::grad_norm() const { return global_grad_norm(trained_); }

void TrainingState::update(const StepInfo& update) {
  optimizer_->step(trained_, update);
  if (ema_) ema_->update(trained_, update.step);
}

void TrainingState::use_averages(std::optional<EmaScope>& scope) {
  if (ema_) scope.emplace(*ema_, trained_);
}

CheckpointContent TrainingState::content(bool with_averages) {
  CheckpointContent content;
  const auto used = [this, with_averages](Parameter& p) -> const Tensor& {
    return with_averages && ema_ && p.trainable ? ema_->average(p) : p.value;
  };
  for (const DiskTensor& t : map_weights(model_)) content.model.push_back(on_disk(t, used));
  optimizer_->for_each_state(
      [&](const std::string& name, Tensor& t) { content.optimizer.push_back(as_it_is(name, t)); });
  if (with_averages)
    for (Parameter* p : trained_)
      content.optimizer.push_back(as_it_is(std::string(kMaster) + p->name, p->value));
  return content;
}

void TrainingState::after_load(bool with_averages) {
  if (ema_ && !with_averages) ema_ = std::make_unique<Ema>(ema_decay_, trained_);
  for (Parameter* p : parameters_)
    if (!p->compute.shares_storage(p->value)) p->compute.copy_from(p->value);
}

int64_t TrainingState::bytes() const {
  int64_t bytes = optimizer_->state_bytes(trained_) + (ema_ ? ema_->bytes() : 0);
  for (const Parameter* p : parameters_) {
    bytes += static_cast<int64_t>(p->value.bytes());
    if (!p->compute.shares_storage(p->value)) bytes += static_cast<int64_t>(p->compute.bytes());
    if (p->trainable) bytes += static_cast<int64_t>(p->grad.tensor.bytes());
  }
  return bytes;
}

}  // namespace lathe
