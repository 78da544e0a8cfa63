// Top-p, nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751): keeps the likeliest tokens
// until together they have at least probability p; one is always kept. 0 <= p < 1. Of equal tokens
// at the border the higher id is kept first, which is what the ascending stable sort of
// transformers comes to.
#pragma once

#include <span>

namespace lathe {

void top_p(std::span<float> logits, double p);

}  // namespace lathe
