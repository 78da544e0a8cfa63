#include "lathe/optim/optimizer.h"

#include "lathe/optim/update.h"

namespace lathe {

void Optimizer::prepare(std::span<const TrainedParameter> parameters) {
  for (const TrainedParameter& p : parameters) {
    if (store_->has(p.name())) continue;
    optim::check_parameter(name(), p);
    store_->add(p, state_of(*p.parameter));
  }
}

void Optimizer::step(std::span<const TrainedParameter> parameters, const StepInfo& info) {
  optim::check_step(name(), info);
  prepare(parameters);
  store_->use(parameters, [&](const TrainedParameter& p, std::span<const Tensor> state) {
    update(p, optim::gradient_of(name(), p), state, info);
  });
}

int64_t Optimizer::state_bytes(std::span<Parameter* const> parameters) const {
  int64_t bytes = 0;
  for (const Parameter* p : parameters)
    for (const StateShape& state : state_of(*p))
      bytes += state.shape.numel() * static_cast<int64_t>(size_of(DType::kF32));
  return bytes;
}

}  // namespace lathe
