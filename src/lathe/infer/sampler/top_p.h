// Top-p, nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751): keeps the most likely tokens
// until together they have at least probability p; one is always kept. 0 <= p < 1. Of equally
// likely tokens at the boundary the higher id is kept first, as results from the ascending stable
// sort of transformers.
#pragma once

#include <span>

namespace lathe {

void top_p(std::span<float> logits, double p);

}  // namespace lathe
