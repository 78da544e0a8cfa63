// What adapters add to the weights of a model during a pass: low-rank updates (Hu et al. 2021,
// arXiv:2106.09685) and their like. The model itself does not change.
#pragma once

#include "lathe/nn/pass.h"

namespace lathe {

// Every product with a weight passes through one of the two functions (nn/product.h). An adapter of
// the parameter `p` with the update ΔW gives the same result in both. Both may record on the tape
// of the pass. Thread-safe as the pass is.
class Adapters {
 public:
  virtual ~Adapters() = default;
  // x [N,inputs], y = x·Wᵀ + b [N,outputs] -> y + x·ΔWᵀ; y itself for a parameter without adapter.
  virtual Var add_to_product(const Pass& pass, const Parameter& p, const Var& x,
                             const Var& y) const = 0;
  // W [outputs,inputs] -> W + ΔW, for products that need the matrix itself: of stacked experts, of
  // the output head, of latent attention in its absorbed form.
  virtual Var add_to_weight(const Pass& pass, const Parameter& p, const Var& w) const = 0;
};

}  // namespace lathe
