// Adapters made part of the weights.
#pragma once

#include <memory>
#include <span>

#include "lathe/model/adapter/adapter.h"
#include "lathe/model/transformer.h"

namespace lathe {

// The same model with an output head of its own, a copy of the token table; `model` itself if it has
// one already.
std::unique_ptr<Transformer> with_own_head(std::unique_ptr<Transformer> model);

// Whether the merged model cannot have one table for its tokens and its head: the adapter acts on one
// of the two.
bool parts_tied_head(const Transformer& model, const Adapter& adapter);

// The weights with what all adapters, which were loaded for `model`, make of them, one after the
// other, in the type of each weight: in f32, the model whose logits are those of the adapters up to
// rounding. A tied head that one of them parts from its table is untied. Errors: kConfig for a weight
// that is packed, to which nothing can be added without rounding it again; for a bias that the model
// has no place for; for virtual tokens, which are in no weight.
std::unique_ptr<Transformer> merge_adapters(
    std::unique_ptr<Transformer> model, std::span<const std::shared_ptr<const Adapter>> adapters);

}  // namespace lathe
