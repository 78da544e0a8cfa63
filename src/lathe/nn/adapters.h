// What adapters do to a model during a pass: updates of its weights (LoRA, Hu et al. 2021,
// arXiv:2106.09685, and its relatives), values in place of its own (norms, biases), tokens and keys
// before its text (Lester et al. 2021, arXiv:2104.08691; Li & Liang 2021, arXiv:2101.00190), vectors
// added between its layers (Turner et al. 2023, arXiv:2308.10248). The model itself does not change.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lathe/nn/pass.h"

namespace lathe {

namespace ops {
struct ExpertPlan;  // ops/moe_plan.h
}

// Keys and values that every token of a layer sees before those of the text, without rotation or
// projection: [P,K,D] each.
struct KeyValuePrefix {
  Var k, v;
};

// Every product with a weight passes through nn/product.h, which calls one of these. An adapter of
// the parameter `p` with the update ΔW gives the same result in all of them. All may record on the
// tape of the pass, and may write to `y`, which nobody else holds. Thread-safe as the pass is.
//
// The rows of a pass may have different adapters. Where a function is given rows, they are those of
// the pass, in its order, or, in what of_text() returns, those of the encoder's text.
//
// What a subclass does not override changes nothing, or is what the adapters do that it stands around.
class Adapters {
 public:
  virtual ~Adapters() = default;
  // x [N,inputs], y = x·Wᵀ + b [N,outputs], b undefined if there is none -> y with what the adapter
  // of W makes of it: y + x·ΔWᵀ; y itself for a parameter without adapter.
  virtual Var add_to_product(const Pass& pass, const Parameter& p, const Var& x, const Var& y,
                             const Var& b) const;
  // The same for matrices of experts, one below the other in p: the rows of x and y are sorted by
  // expert as the plan says, each that of one token.
  virtual Var add_to_expert_product(const Pass& pass, const Parameter& p, const Var& x,
                                    const Var& y, const ops::ExpertPlan& plan) const;
  // W [outputs,inputs] -> W + ΔW of one of the stretches(), for products that need the matrix
  // itself: of the output head in a loss, of latent attention in its absorbed form.
  virtual Var add_to_weight(const Pass& pass, const Parameter& p, const Var& w,
                            size_t stretch) const;
  // The numbers of rows that follow one another and have the same adapters, in order; empty if all
  // rows have the same.
  virtual std::vector<int64_t> stretches() const;
  // ids i32 [N], y [N,C] = their rows of the table p -> y plus those of ΔW.
  virtual Var add_to_lookup(const Pass& pass, const Parameter& p, const Tensor& ids,
                            const Var& y) const;
  // What takes the place of the parameter's own value where it is used in this way; nothing for most.
  // Not asked for rows with different adapters.
  virtual std::optional<Var> replacement(const Pass& pass, const Parameter& p,
                                         ParameterUse use) const;
  // How many tokens stand before the text of each sequence that are no tokens of the vocabulary.
  // Either the model reads their vectors [P,C] as it reads those of embedded ids, or its layers have
  // keys and values of them, and they have no rows.
  virtual int64_t virtual_tokens() const;
  virtual Var virtual_embeddings(const Pass& pass) const;
  virtual std::optional<KeyValuePrefix> prefix_of_layer(const Pass& pass, int64_t layer) const;
  // x [N,C], the output of layer `layer` (from 0) of the decoder.
  virtual Var add_to_layer_output(const Pass& pass, int64_t layer, const Var& x) const;
  // What acts on the rows of the encoder's text, in the encoder and where the decoder reads it.
  virtual const Adapters& of_text() const { return *this; }

 protected:
  Adapters() = default;
  // Around `inner`, which outlives it; nullptr: around nothing.
  explicit Adapters(const Adapters* inner) : inner_(inner) {}

 private:
  const Adapters* inner_ = nullptr;
};

}  // namespace lathe
