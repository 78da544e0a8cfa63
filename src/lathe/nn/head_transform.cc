#include "lathe/nn/head_transform.h"

#include "lathe/ops/elementwise.h"

namespace lathe {

HeadTransform::HeadTransform(int64_t width, kernels::ActivationId activation,
                             std::unique_ptr<Norm> norm, double init_std)
    : dense_(width, width, true, init_std), activation_(activation), norm_(std::move(norm)) {}

Var HeadTransform::forward(const Forward& f, const Var& x) const {
  return norm_->forward(f, ops::activation(activation_, dense_.forward(f, x)));
}

void HeadTransform::visit(ModuleVisitor& v) {
  v.child("dense", dense_);
  v.child("norm", *norm_);
}

}  // namespace lathe
