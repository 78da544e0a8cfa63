// Steps that all optimisers share: checking a parameter, its gradient as a tensor, the compute
// copy.
#pragma once

#include <string_view>
#include <utility>

#include "lathe/optim/optimizer.h"

namespace lathe::optim {

constexpr int64_t kGrain = 1 << 14;  // elements worth a thread

// Throws unless `info` can be used.
void check_step(std::string_view where, const StepInfo& info);

// Throws unless the parameter is trainable and its master copy can be changed in place.
void check_parameter(std::string_view where, const TrainedParameter& parameter);

// Throws unless `state` is a contiguous tensor of the master copy's dtype, on its device, and of this shape.
void check_state(std::string_view where, const TrainedParameter& parameter, const Tensor& state,
                 const Shape& shape);

// The gradient, of the master copy's shape and dtype; zeros when nothing was written (the buffer is
// then cleared, which nobody reads).
Tensor gradient_of(std::string_view where, const TrainedParameter& parameter);

bool has_compute_copy(const TrainedParameter& parameter);
// compute = master, rounded; nothing to do when they are the same tensor.
void refresh_compute(const TrainedParameter& parameter);

// f(TypeTag<T>{}) with the master type: double on Device::kRef in f64, float otherwise.
template <class F>
void visit_master(const TrainedParameter& parameter, F&& f) {
  if (parameter.master.dtype() == DType::kF64)
    std::forward<F>(f)(TypeTag<double>{});
  else
    std::forward<F>(f)(TypeTag<float>{});
}

}  // namespace lathe::optim
