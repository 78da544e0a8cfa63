// What every optimiser is: a rule that turns gradients into an update of parameters, plus the state
// it keeps.
//
// A step reads the gradient of a parameter and writes its master copy and, where that is a separate
// tensor, the compute copy. The gradient used is gradient->tensor · grad_scale, or zero when
// gradient->written is false; gradients are not cleared. Arithmetic is f32 (f64 for parameters on
// Device::kRef); results depend on shapes and the thread count only. Errors: kShape for a master
// copy that is not a contiguous f32 (kRef: f64) tensor, and for a gradient or a restored state of
// another shape; kNumeric for a step, lr or grad_scale that is not a number; those of its StateStore.
// Not thread-safe: one step at a time (loops inside use all threads).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lathe/optim/state_store.h"
#include "lathe/optim/trained_parameter.h"

namespace lathe {

struct StepInfo {
  int64_t step = 1;       // of this update, counted from 1: bias corrections use it
  double lr = 0;          // learning rate of this step, schedule applied
  double grad_scale = 1;  // multiplies every gradient: 1 / micro-batches · clip_factor()
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // Where the state lies from now on; before any is made. Otherwise it is in memory.
  void keep_state_in(std::unique_ptr<StateStore> store) { store_ = std::move(store); }
  // Makes the state of parameters that have none yet, so that for_each_state() can restore a
  // checkpoint before the first step. step() does the same for parameters it meets for the first
  // time.
  void prepare(std::span<const TrainedParameter> parameters);
  void step(std::span<const TrainedParameter> parameters, const StepInfo& info);

  // Every tensor of the state, in a fixed order. Restoring them and going on with the next step
  // number gives the same bits as never having stopped.
  void for_each_state(const StateFn& f) { store_->for_each(f); }

  // The tensors that it keeps of a parameter, which are of the dtype of the master copy. Reads only
  // what is known of a parameter before any memory is.
  virtual std::vector<StateShape> state_of(const Parameter& parameter) const = 0;
  // What the state of all `parameters` takes when their master copies are f32.
  int64_t state_bytes(std::span<Parameter* const> parameters) const;
  // The most memory that the state takes where it lies.
  int64_t resident_bytes() const { return store_->resident_bytes(); }

  // One parameter, which does not depend on others. `gradient` is of the master copy's shape and
  // dtype, `state` in the order of state_of().
  virtual void update(const TrainedParameter& parameter, const Tensor& gradient,
                      std::span<const Tensor> state, const StepInfo& info) const = 0;

 protected:
  virtual std::string_view name() const = 0;

 private:
  std::unique_ptr<StateStore> store_ = store_in_memory();
};

}  // namespace lathe
