#include "lathe/optim/update.h"

#include <cmath>

#include "lathe/base/error.h"

namespace lathe::optim {

void check_step(std::string_view where, const StepInfo& info) {
  require(info.step >= 1, ErrorKind::kNumeric, where, "step is {}, expected at least 1", info.step);
  require(std::isfinite(info.lr) && std::isfinite(info.grad_scale), ErrorKind::kNumeric, where,
          "learning rate {} and gradient scale {} must be finite; skip the step when the gradient "
          "norm is not",
          info.lr, info.grad_scale);
}

void check_parameter(std::string_view where, const Parameter& p) {
  require(p.value.defined(), ErrorKind::kShape, where, "parameter '{}' has no value", p.name);
  require(p.trainable, ErrorKind::kShape, where,
          "parameter '{}' is a buffer that no optimiser moves; leave it out", p.name);
  const DType dtype = p.value.dtype();
  const bool trainable =
      dtype == DType::kF32 || (dtype == DType::kF64 && p.value.device() == Device::kRef);
  require(trainable && p.value.contiguous(), ErrorKind::kShape, where,
          "parameter '{}' is {} {}{}; training needs a contiguous float32 master copy", p.name,
          name_of(dtype), p.value.shape().str(), p.value.contiguous() ? "" : " (strided)");
}

void check_state(std::string_view where, const Parameter& p, const Tensor& state,
                 const Shape& shape) {
  require(state.defined() && state.shape() == shape && state.dtype() == p.value.dtype() &&
              state.device() == p.value.device() && state.contiguous(),
          ErrorKind::kShape, where,
          "state of '{}' is {} {}, expected {} {}; the checkpoint is of another model or optimiser",
          p.name, state.defined() ? name_of(state.dtype()) : "absent",
          state.defined() ? state.shape().str() : "", name_of(p.value.dtype()), shape.str());
}

Tensor zeros_like(const Parameter& p, const Shape& shape) {
  return Tensor::zeros(shape, p.value.dtype(), p.value.device());
}

Tensor gradient_of(std::string_view where, const Parameter& p) {
  const Tensor& g = p.grad.tensor;
  if (!g.defined()) {
    require(!p.grad.written, ErrorKind::kShape, where, "gradient of '{}' is written but absent",
            p.name);
    return zeros_like(p, p.value.shape());
  }
  require(g.shape() == p.value.shape() && g.dtype() == p.value.dtype() && g.contiguous(),
          ErrorKind::kShape, where, "gradient of '{}' is {} {}, expected {} {}", p.name,
          name_of(g.dtype()), g.shape(), name_of(p.value.dtype()), p.value.shape());
  if (!p.grad.written) g.fill_zero();
  return g;
}

bool has_compute_copy(const Parameter& p) {
  return p.compute.defined() && !p.compute.shares_storage(p.value);
}

void refresh_compute(const Parameter& p) {
  if (has_compute_copy(p)) kernels::kernels_for(p.value.device()).cast(p.value, p.compute);
}

}  // namespace lathe::optim
