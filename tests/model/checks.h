// What must hold of every model, whatever it is built from.
#pragma once

#include <gtest/gtest.h>

#include "lathe/infer/contiguous_cache.h"
#include "lathe/ops/cross_entropy.h"
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

// Parameters without the buffers that something else moves.
inline std::vector<Parameter*> trained_parameters(Transformer& model) {
  std::vector<Parameter*> trained;
  for (Parameter* p : model.parameters())
    if (p->trainable) trained.push_back(p);
  return trained;
}

// Loss with gradients in every parameter's buffer (NaN beforehand).
inline double loss_with_gradients(Transformer& model, const Tensor& ids,
                                  Recompute recompute = Recompute::kNone) {
  for (Parameter* p : model.parameters()) {
    p->grad.tensor = Tensor::of<double>(std::vector<double>(p->shape.numel(), std::nan("")),
                                        p->shape, p->value.device())
                         .to(p->value.dtype());
    p->grad.written = false;
  }
  Tape tape({.keep_cheap = recompute != Recompute::kSelective});
  Forward f;
  f.tape = &tape;
  f.training = true;
  f.rng = Rng(5);
  const Context context(model, f, ids, recompute);
  const Var hidden = model.hidden(f, ids, recompute);
  const Var loss = ops::linear_cross_entropy(hidden, model.head(f), shifted(ids));
  tape.backward(loss);
  return loss.value.item();
}

// Each parameter has a finite gradient that is not zero everywhere.
inline void expect_gradients_everywhere(Transformer& model) {
  EXPECT_GT(loss_with_gradients(model, some_ids(2, 7)), 0);
  for (Parameter* p : trained_parameters(model)) {
    ASSERT_TRUE(p->grad.written) << p->name;
    double largest = 0;
    for (double g : p->grad.tensor.to_vector()) {
      ASSERT_TRUE(std::isfinite(g)) << p->name;
      largest = std::max(largest, std::abs(g));
    }
    EXPECT_GT(largest, 1e-9) << p->name;
  }
}

// Logits of `ids` computed in pieces of these lengths through a cache.
inline Tensor cached_logits(Transformer& model, const Tensor& ids,
                            const std::vector<int64_t>& pieces) {
  const int64_t batch = ids.size(0), tokens = ids.size(1);
  ContiguousCache cache(tokens);
  Forward f;
  const Context context(model, f, ids);
  const Tensor types = f.token_types;
  f.cache = &cache;
  Tensor all;
  int64_t at = 0;
  for (int64_t length : pieces) {
    EXPECT_EQ(cache.length(), at);
    const Tensor part = ids.narrow(1, at, length).clone();
    if (types.defined()) f.token_types = types.narrow(1, at, length).clone();
    const Tensor logits = model.logits(f, model.hidden(f, part)).value;
    if (!all.defined())
      all = Tensor({batch, tokens, logits.size(2)}, logits.dtype(), logits.device());
    all.narrow(1, at, length).copy_from(logits);
    at += length;
  }
  EXPECT_EQ(cache.length(), tokens);
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
    if (body.prefix && pieces[0] < Context::kPrefix) continue;  // a prefix comes at once
    EXPECT_LE(largest_difference(cached_logits(model, ids, pieces), full), tolerance)
        << pieces.size() << " pieces";
  }
}

}  // namespace lathe::testing
