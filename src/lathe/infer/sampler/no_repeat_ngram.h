// No n-gram twice (Paulus et al. 2017, arXiv:1705.04304): removes every token that would complete,
// with the last n − 1 tokens, an n-gram that already occurs in the prompt or answer. n = 1 removes
// every token seen; n > 0.
#pragma once

#include <cstdint>
#include <span>

#include "lathe/infer/sampler/samplers.h"

namespace lathe {

void no_repeat_ngram(std::span<float> logits, const TokenHistory& history, int64_t n);

}  // namespace lathe
