// Min-p (Nguyen et al. 2024, arXiv:2407.01082): removes tokens whose probability is below min_p
// times that of the most likely token. 0 <= min_p <= 1; the most likely token always stays.
#pragma once

#include <span>

namespace lathe {

void min_p(std::span<float> logits, double min_p);

}  // namespace lathe
