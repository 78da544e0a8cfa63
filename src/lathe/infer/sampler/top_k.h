// Top-k (Fan et al. 2018, arXiv:1805.04833): removes every token less likely than the k-th most
// likely one; ties with it stay, as in transformers. k > 0; k >= the vocabulary size keeps all.
#pragma once

#include <cstdint>
#include <span>

namespace lathe {

void top_k(std::span<float> logits, int64_t k);

}  // namespace lathe
