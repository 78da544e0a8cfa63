// Adapters for models that are not on disk.
#pragma once

#include "lathe/base/rng.h"
#include "lathe/model/adapter/row_adapters.h"
#include "model/grid.h"

namespace lathe::testing {

inline Tensor random_matrix(const Rng& rng, int64_t rows, int64_t columns, double std,
                            const Transformer& like) {
  Tensor t({rows, columns}, DType::kF32);
  for (int64_t i = 0; i < t.numel(); ++i)
    t.data<float>()[i] = static_cast<float>(std * rng.normal(static_cast<uint64_t>(i)));
  return t.to(like.activations()).clone().to(like.device());
}

// Updates of about two in three of the parts of all matrices that are multiplied, of the head, and
// of the rows of the token table.
inline std::shared_ptr<const LoraAdapter> random_lora(Transformer& model, const Rng& rng,
                                                      double std = 0.3) {
  LoraAdapter::Updates products;
  LoraAdapter::Lookups lookups;
  for (Parameter* p : model.parameters()) {
    if (p->shape.rank() != 2) continue;
    const Rng own = rng.fork(p->name);
    const int64_t columns = p->shape[1];
    const bool table = p->is_table && p->name != "head.weight";
    if (table && p->name != "embedding.weight") continue;  // of positions or scores
    if (p->name == "embedding.weight")
      lookups[p->name] = {random_matrix(own.fork("ta"), p->shape[0], 2, std, model),
                          random_matrix(own.fork("tb"), columns, 2, std, model), 1.5};
    if (table && !model.config().tie_word_embeddings) continue;
    const std::vector<int64_t> parts = p->parts.empty() ? std::vector{p->shape[0]} : p->parts;
    int64_t first = 0;
    for (size_t part = 0; part < parts.size(); first += parts[part++]) {
      const Rng of_part = own.fork(part);
      if (of_part.fork("has").below(0, 3) == 0) continue;
      const auto rank = 1 + static_cast<int64_t>(of_part.fork("rank").below(0, 3));
      products[p->name].push_back(
          {first, random_matrix(of_part.fork("a"), rank, columns, std, model),
           random_matrix(of_part.fork("b"), parts[part], rank, std, model), 0.75});
    }
  }
  return std::make_shared<const LoraAdapter>(std::move(products), std::move(lookups));
}

inline Steering random_steering(const Transformer& model, const Rng& rng) {
  std::map<int64_t, Tensor> directions;
  const int64_t layers = model.config().num_hidden_layers;
  for (int64_t layer = 0; layer < layers; ++layer) {
    Tensor v({model.config().hidden_size}, DType::kF32);
    for (int64_t i = 0; i < v.numel(); ++i)
      v.data<float>()[i] = static_cast<float>(
          rng.fork(static_cast<uint64_t>(layer)).normal(static_cast<uint64_t>(i)));
    directions[layer] = v;
  }
  return {.vectors = std::make_shared<const SteeringVectors>(std::move(directions)),
          .scale = 0.7,
          .first = static_cast<int64_t>(rng.fork("first").below(0, static_cast<uint64_t>(layers)))};
}

}  // namespace lathe::testing
