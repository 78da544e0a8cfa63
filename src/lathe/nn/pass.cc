#include "lathe/nn/pass.h"

#include "lathe/nn/adapters.h"

namespace lathe {

Var Pass::use(const Parameter& p, ParameterUse use) const {
  if (adapters != nullptr)
    if (auto other = adapters->replacement(*this, p, use)) return *std::move(other);
  return own(p);
}

Var Pass::own(const Parameter& p) const {
  GradBuffer* gradient = tape != nullptr && gradients != nullptr ? gradients->find(p) : nullptr;
  return gradient != nullptr ? tape->leaf(p.value.tensor(), gradient) : Var(p.value.tensor());
}

Var Pass::use_wide(const Parameter& p) const {
  const Var v = use(p);
  const DType wide = v.value.dtype() == DType::kF64 ? DType::kF64 : DType::kF32;
  return v.value.dtype() == wide ? v : Var(v.value.to(wide));
}

Pass Pass::of_text() const {
  Pass pass = *this;
  if (adapters != nullptr) pass.adapters = &adapters->of_text();
  return pass;
}

}  // namespace lathe
