// Dynamic temperature (kalomaze 2023, in llama.cpp): the temperature follows the entropy of the
// distribution, so that a sure model stays sharp and an unsure one is flattened,
//
//   T = low + (high − low) · (H / ln n)^exponent,  low = max(0, t − range), high = t + range,
//
// with H = −Σ p ln p of the n tokens that have not been removed, and l ← (l − max l) / T. With
// T = 0, or a single token, the largest logits stay and all others are removed.
#pragma once

#include <span>

namespace lathe {

struct DynamicTemperature {
  double temperature;  // t > 0
  double range;        // > 0
  double exponent;     // >= 0
};

void dynamic_temperature(std::span<float> logits, const DynamicTemperature& spec);

}  // namespace lathe
