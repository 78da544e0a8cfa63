// Repetition penalty (Keskar et al. 2019, arXiv:1909.05858, with the treatment of negative logits
// of transformers).
//
//   l ← l / penalty  where l >= 0,   l ← l · penalty  where l < 0
//
// once for every token that occurs in the prompt or the answer. penalty > 0; above 1 discourages.
#pragma once

#include <span>

#include "lathe/infer/sampler/samplers.h"

namespace lathe {

void repetition_penalty(std::span<float> logits, const TokenHistory& history, double penalty);

}  // namespace lathe
