// Runs a model over a text and shows what its matrices are multiplied with.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "lathe/model/transformer.h"

namespace lathe {

struct CalibrationOptions {
  int64_t window = 512;                             // as in divergence.h
  std::function<void(int64_t done)> progress = {};  // tokens; may throw
};

// f32 [N, inputs], N of the rows that a pass multiplies with the weight.
using OnInputs = std::function<void(const Parameter& weight, const Tensor& x)>;

// Calls `f` for every product of every window. Matrices whose inputs no product shows (experts,
// routers, the table where tokens are looked up) are left out; the one that makes logits is shown.
// Throws kData for a text of fewer tokens than a window, and for a model with an encoder and a
// decoder.
void show_inputs(Transformer& model, std::span<const int32_t> text,
                 const CalibrationOptions& options, const OnInputs& f);

}  // namespace lathe
