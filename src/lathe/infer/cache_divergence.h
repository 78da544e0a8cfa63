// What it costs to keep keys and values in a smaller type: how far a model's predictions are from
// those that it makes with a cache in the type of its arithmetic.
#pragma once

#include "lathe/model/divergence.h"

namespace lathe {

// Each window of the text is read in one pass through a cache, as the engine reads a prompt; token
// by token the bits are the same. Errors: kData as divergence(), those of kept_as(), and kConfig for
// the type in which keys and values are computed.
Divergence cache_divergence(const Transformer& model, DType cache_precision,
                            std::span<const int32_t> text, DivergenceOptions options = {});

}  // namespace lathe
