// Adapters made part of the weights: ΔW added to W.
#pragma once

#include <memory>
#include <span>

#include "lathe/model/adapter/lora_adapter.h"
#include "lathe/model/transformer.h"

namespace lathe {

// The same model with an output head of its own, a copy of the token table; `model` itself if it has
// one already.
std::unique_ptr<Transformer> with_own_head(std::unique_ptr<Transformer> model);

// Whether the merged model cannot have one table for its tokens and its head: the adapter acts on one
// of the two.
bool parts_tied_head(const Transformer& model, const LoraAdapter& adapter);

// W plus the ΔW of all adapters, which were loaded for `model`, in the type of W: in f32, the model
// whose logits are those of the adapters up to rounding. A tied head that one of them parts from its
// table is untied. Error kConfig for a weight that is packed, to which nothing can be added without
// rounding it again.
std::unique_ptr<Transformer> merge_adapters(
    std::unique_ptr<Transformer> model,
    std::span<const std::shared_ptr<const LoraAdapter>> adapters);

}  // namespace lathe
