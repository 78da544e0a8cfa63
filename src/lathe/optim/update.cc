#include "lathe/optim/update.h"

#include <cmath>

#include "lathe/base/error.h"
#include "lathe/optim/block_rounding.h"

namespace lathe::optim {

void check_step(std::string_view where, const StepInfo& info) {
  require(info.step >= 1, ErrorKind::kNumeric, where, "step is {}, expected at least 1", info.step);
  require(std::isfinite(info.lr) && std::isfinite(info.grad_scale), ErrorKind::kNumeric, where,
          "learning rate {} and gradient scale {} must be finite; skip the step when the gradient "
          "norm is not",
          info.lr, info.grad_scale);
}

void check_parameter(std::string_view where, const TrainedParameter& p) {
  require(p.master.defined(), ErrorKind::kShape, where, "parameter '{}' has no value", p.name());
  require(p.parameter->trainable, ErrorKind::kShape, where,
          "parameter '{}' is a buffer that no optimiser moves; leave it out", p.name());
  const DType dtype = p.master.dtype();
  const bool trainable =
      dtype == DType::kF32 || (dtype == DType::kF64 && p.master.device() == Device::kRef);
  require(trainable && p.master.contiguous(), ErrorKind::kShape, where,
          "parameter '{}' is {} {}{}; training needs a contiguous float32 master copy", p.name(),
          name_of(dtype), p.master.shape().str(), p.master.contiguous() ? "" : " (strided)");
}

void check_state(std::string_view where, const TrainedParameter& p, const Tensor& state,
                 const Shape& shape) {
  require(state.defined() && state.shape() == shape && state.dtype() == p.master.dtype() &&
              state.device() == p.master.device() && state.contiguous(),
          ErrorKind::kShape, where,
          "state of '{}' is {} {}, expected {} {}; the checkpoint is of another model or optimiser",
          p.name(), state.defined() ? name_of(state.dtype()) : "absent",
          state.defined() ? state.shape().str() : "", name_of(p.master.dtype()), shape.str());
}

Tensor gradient_of(std::string_view where, const TrainedParameter& p) {
  const Tensor& g = p.gradient->tensor;
  if (!g.defined()) {
    require(!p.gradient->written, ErrorKind::kShape, where,
            "gradient of '{}' is written but absent", p.name());
    return Tensor::zeros(p.master.shape(), p.master.dtype(), p.master.device());
  }
  require(g.shape() == p.master.shape() && g.dtype() == p.master.dtype() && g.contiguous(),
          ErrorKind::kShape, where, "gradient of '{}' is {} {}, expected {} {}", p.name(),
          name_of(g.dtype()), g.shape(), name_of(p.master.dtype()), p.master.shape());
  if (!p.gradient->written) g.fill_zero();
  return g;
}

bool has_compute_copy(const TrainedParameter& p) { return !p.compute().shares_storage(p.master); }

void refresh_compute(const TrainedParameter& p) {
  if (!has_compute_copy(p)) return;
  if (p.blocks != nullptr) return p.compute().copy_from(rounded_to_blocks(p.master, *p.blocks));
  kernels::kernels_for(p.master.device()).cast(p.master, p.compute());
}

}  // namespace lathe::optim
