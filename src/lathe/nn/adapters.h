// What adapters add to a model during a pass: low-rank updates of its weights (Hu et al. 2021,
// arXiv:2106.09685), vectors added between its layers (Turner et al. 2023, arXiv:2308.10248), and
// their like. The model itself does not change.
#pragma once

#include <cstdint>
#include <vector>

#include "lathe/nn/pass.h"

namespace lathe {

namespace ops {
struct ExpertPlan;  // ops/moe_plan.h
}

// Every product with a weight passes through nn/product.h, which calls one of these. An adapter of
// the parameter `p` with the update ΔW gives the same result in all of them. All may record on the
// tape of the pass, and may write to `y`, which nobody else holds. Thread-safe as the pass is.
//
// The rows of a pass may have different adapters. Where a function is given rows, they are those of
// the pass, in its order, or, in what of_text() returns, those of the encoder's text.
class Adapters {
 public:
  virtual ~Adapters() = default;
  // x [N,inputs], y = x·Wᵀ + b [N,outputs] -> y + x·ΔWᵀ; y itself for a parameter without adapter.
  virtual Var add_to_product(const Pass& pass, const Parameter& p, const Var& x,
                             const Var& y) const = 0;
  // The same for matrices of experts, one below the other in p: the rows of x and y are sorted by
  // expert as the plan says, each that of one token.
  virtual Var add_to_expert_product(const Pass& pass, const Parameter& p, const Var& x,
                                    const Var& y, const ops::ExpertPlan& plan) const = 0;
  // W [outputs,inputs] -> W + ΔW of one of the stretches(), for products that need the matrix
  // itself: of the output head in a loss, of latent attention in its absorbed form.
  virtual Var add_to_weight(const Pass& pass, const Parameter& p, const Var& w,
                            size_t stretch) const = 0;
  // The numbers of rows that follow one another and have the same adapters, in order; empty if all
  // rows have the same.
  virtual std::vector<int64_t> stretches() const { return {}; }
  // ids i32 [N], y [N,C] = their rows of the table p -> y plus those of ΔW.
  virtual Var add_to_lookup(const Pass&, const Parameter&, const Tensor& /*ids*/,
                            const Var& y) const {
    return y;
  }
  // x [N,C], the output of layer `layer` (from 0) of the decoder.
  virtual Var add_to_layer_output(const Pass&, int64_t /*layer*/, const Var& x) const { return x; }
  // What acts on the rows of the encoder's text, in the encoder and where the decoder reads it.
  virtual const Adapters& of_text() const { return *this; }
};

}  // namespace lathe
