// What must hold of every model, whatever it is built from.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "lathe/ops/cross_entropy.h"
#include "model/contiguous_cache.h"
#include "model/grid.h"

namespace lathe::testing {

inline Tensor shifted(const Tensor& ids) {
  Tensor labels = ids.clone();
  const int64_t tokens = ids.size(1);
  for (int64_t b = 0; b < ids.size(0); ++b)
    for (int64_t t = 0; t < tokens; ++t)
      labels.data<int32_t>()[b * tokens + t] =
          t + 1 < tokens ? ids.data<int32_t>()[b * tokens + t + 1] : -1;
  return labels;
}

// Of every parameter but packed ones and the buffers that something else moves, by name.
using GradientsByName = std::map<std::string, Tensor>;

struct LossWithGradients {
  double loss = 0;
  GradientsByName gradients;  // NaN where nothing was written
};

inline LossWithGradients loss_with_gradients(const Transformer& model, const Tensor& ids,
                                             Recompute recompute = Recompute::kNone) {
  ParameterGradients gradients;
  LossWithGradients result;
  for (const Parameter* p : model.parameters()) {
    if (!p->trainable || p->value.packed() != nullptr) continue;
    const Tensor& buffer = result.gradients[p->name] = gradients.add(*p).tensor;
    buffer.copy_from(
        Tensor::of<double>(std::vector<double>(static_cast<size_t>(p->shape.numel()), std::nan("")),
                           p->shape, buffer.device()));
  }
  Tape tape({.keep_cheap = recompute != Recompute::kSelective});
  ModelPass pass(model, {.tape = &tape, .gradients = &gradients, .training = true}, Rng(5),
                 recompute);
  const Var hidden = pass.hidden(inputs_for(model, ids));
  const Var loss = ops::linear_cross_entropy(hidden, pass.head(), shifted(ids));
  tape.backward(loss);
  result.loss = loss.value.item();
  return result;
}

// Each parameter has a finite gradient that is not zero everywhere.
inline void expect_gradients_everywhere(const Transformer& model) {
  const LossWithGradients got = loss_with_gradients(model, some_ids(2, 7));
  EXPECT_GT(got.loss, 0);
  for (const auto& [name, gradient] : got.gradients) {
    double largest = 0;
    for (const double g : gradient.to_vector()) {
      ASSERT_TRUE(std::isfinite(g)) << name;
      largest = std::max(largest, std::abs(g));
    }
    EXPECT_GT(largest, 1e-9) << name;
  }
}

// Logits of `ids` computed in pieces of these lengths through a cache.
inline Tensor cached_logits(const Transformer& model, const Tensor& ids,
                            const std::vector<int64_t>& pieces) {
  const int64_t batch = ids.size(0), tokens = ids.size(1);
  ContiguousCache cache(batch, tokens);
  ModelPass pass(model, {.cache = &cache});
  const ModelInputs whole = inputs_for(model, ids);
  Tensor all;
  int64_t at = 0;
  for (int64_t length : pieces) {
    ModelInputs inputs{.rows = Rows::of(columns_of(ids, at, length))};
    inputs.rows.context = cache.lengths();
    inputs.rows.prefix = whole.rows.prefix;
    if (const Tensor& types = whole.rows.token_types; types.defined())
      inputs.rows.token_types = flat(columns_of(types.reshape({batch, tokens}), at, length));
    if (at == 0) inputs.text = whole.text;
    EXPECT_EQ(cache.lengths(), std::vector<int64_t>(static_cast<size_t>(batch), at));
    const Tensor logits = pass.logits(pass.hidden(inputs)).value;
    cache.advance(inputs.rows);
    if (!all.defined())
      all = Tensor({batch, tokens, logits.size(1)}, logits.dtype(), logits.device());
    all.narrow(1, at, length).copy_from(logits.reshape({batch, length, logits.size(1)}));
    at += length;
  }
  EXPECT_EQ(cache.lengths(), std::vector<int64_t>(static_cast<size_t>(batch), tokens));
  return all;
}

// The tolerance is relative where numbers are large, as they are without norms.
inline void expect_cached_equals_full(Transformer& model, double relative) {
  const Body body = model.config().body_traits();
  if (!body.causal) return;  // every token needs all others
  const Tensor ids = some_ids(2, 9);
  const Tensor full = logits_of(model, ids);
  const double tolerance = relative * std::max(1.0, largest_magnitude(full));
  for (const std::vector<int64_t>& pieces :
       {std::vector<int64_t>(9, 1), {9}, {4, 1, 3, 1}, {1, 8}, {5, 2, 2}}) {
    if (body.prefix && pieces[0] < kPrefix) continue;  // a prefix comes at once
    EXPECT_LE(largest_difference(cached_logits(model, ids, pieces), full), tolerance)
        << pieces.size() << " pieces";
  }
}

}  // namespace lathe::testing
