// Top-nσ (Tang et al. 2024, arXiv:2411.07641): keeps the tokens with l >= max l − n·σ, where σ is
// the standard deviation of the logits that have not been removed (over their number, not one
// less). n > 0; the most likely token always stays. A temperature before it changes nothing, since
// it scales both sides.
#pragma once

#include <span>

namespace lathe {

void top_n_sigma(std::span<float> logits, double n);

}  // namespace lathe
