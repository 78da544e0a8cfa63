// Locally typical sampling (Meister et al. 2023, arXiv:2202.00666): with H the entropy of the
// distribution, tokens are taken in order of | −log p − H |, the nearest first, until together they
// have probability `mass`; ties with the last one taken stay. 0 < mass < 1; one is always kept.
#pragma once

#include <span>

namespace lathe {

void typical(std::span<float> logits, double mass);

}  // namespace lathe
