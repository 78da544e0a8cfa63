#include "lathe/train/training_state.h"

#include "lathe/base/error.h"
#include "lathe/model/family.h"
#include "lathe/model/gguf/architecture.h"
#include "lathe/model/gguf/tensor_types.h"
#include "lathe/optim/clip.h"
#include "lathe/optim/name_rules.h"
#include "lathe/optim/optimizers.h"
#include "lathe/optim/update.h"

namespace lathe {
namespace {

// Before the names of master weights in the optimiser's file, where the model's file holds
// averages.
constexpr std::string_view kMaster = "master/";

// A tensor of the model's file, from and to what `of` gives of a parameter.
CheckpointTensor on_disk(const DiskTensor& t, const TensorOf& of) {
  const DType dtype = of(*t.pieces[0].parameter).dtype();
  return {t.name, t.shape, dtype, [t, of] { return t.gather(of); },
          [t, of](const Tensor& stored) { t.scatter(stored, of); }};
}

CheckpointTensor of_state(const StateTensor& t) {
  return {t.name, t.shape, t.dtype, t.read, t.write};
}

// What a GGUF file would have of the parameter.
const BlockType* blocks_of(const Parameter& p, const Recipe& recipe) {
  if (!recipe.train.quantize || p.shape.rank() < 2) return nullptr;
  return &fitting_type(writable_block_type(*recipe.train.quantize), p.shape);
}

}  // namespace

Trained all_of(Transformer& model) { return {model.parameters(), map_weights(model)}; }

TrainingState::TrainingState(const Trained& trained, const Recipe& recipe)
    : weights_(trained.weights), ema_decay_(recipe.train.ema_decay) {
  if (recipe.train.quantize) gguf_architecture_of(recipe.model);  // or it throws
  for (Parameter* p : trained.parameters) {
    const Tensor& master = masters_[p] = p->value.tensor();
    const BlockType* blocks = blocks_of(*p, recipe);
    {
      const MemoryLabel label("copies of weights that passes read");
      if (p->rounds()) p->value = master.to(recipe.compute_dtype());
      if (p->trainable && blocks != nullptr) p->value = p->value.tensor().clone();
    }
    if (!p->trainable) continue;
    const MemoryLabel label("gradients");
    trained_.push_back({p, master, &gradients_.add(*p), blocks});
  }
  round_to_blocks();
  NameRules(recipe.optim).require_matches(trained_);
  {
    const MemoryLabel label(kOptimizerState);
    OptimConfig config = recipe.optim;
    require(!config.paged_dir || std::filesystem::is_directory(*config.paged_dir),
            ErrorKind::kConfig, "optim.paged_dir",
            "there is no folder {}; make it, or name another", config.paged_dir.value_or(""));
    if (config.paged && !config.paged_dir) config.paged_dir = recipe.train.out;
    optimizer_ = make_optimizer(config, trained_);
  }
  const MemoryLabel label("averages of the weights");
  if (ema_decay_ > 0) ema_ = std::make_unique<Ema>(ema_decay_, trained_);
}

double TrainingState::grad_norm() const { return global_grad_norm(trained_); }

void TrainingState::update(const StepInfo& update) {
  optimizer_->step(trained_, update);
  if (ema_) ema_->update(trained_, update.step);
}

void TrainingState::use_averages(std::optional<EmaScope>& scope) {
  if (ema_) scope.emplace(*ema_, trained_);
}

void TrainingState::for_each_tensor(const std::function<void(CheckpointTensor)>& f) {
  for (const TrainedParameter& p : trained_) f(as_it_is(p.name(), p.master));
  optimizer_->for_each_state([&](const StateTensor& state) { f(of_state(state)); });
}

TensorOf TrainingState::values(bool averages) {
  return [this, averages](Parameter& p) -> const Tensor& {
    return averages && ema_ && p.trainable ? ema_->average(p) : masters_.at(&p);
  };
}

CheckpointContent TrainingState::content(bool with_averages) {
  CheckpointContent content;
  for (const DiskTensor& t : weights_) content.model.push_back(on_disk(t, values(with_averages)));
  optimizer_->for_each_state(
      [&](const StateTensor& state) { content.optimizer.push_back(of_state(state)); });
  if (with_averages)
    for (const TrainedParameter& p : trained_)
      content.optimizer.push_back(as_it_is(std::string(kMaster) + p.name(), p.master));
  return content;
}

void TrainingState::after_load(bool with_averages) {
  if (ema_ && !with_averages) ema_ = std::make_unique<Ema>(ema_decay_, trained_);
  for (const auto& [parameter, master] : masters_) {
    const Tensor& value = parameter->value.tensor();
    if (!value.shares_storage(master)) value.copy_from(master);
  }
  round_to_blocks();
}

void TrainingState::round_to_blocks() {
  for (const TrainedParameter& p : trained_)
    if (p.blocks != nullptr) optim::refresh_compute(p);
}

int64_t TrainingState::bytes() const {
  int64_t bytes = gradients_.bytes() + (ema_ ? ema_->bytes() : 0);
  for (const auto& [parameter, master] : masters_) {
    bytes += static_cast<int64_t>(master.bytes());
    const Weight& value = parameter->value;
    if (!value.tensor().shares_storage(master)) bytes += static_cast<int64_t>(value.bytes());
  }
  return bytes + optimizer_->resident_bytes();
}

}  // namespace lathe
