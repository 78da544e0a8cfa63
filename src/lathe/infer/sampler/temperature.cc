#include "lathe/infer/sampler/temperature.h"

#include <algorithm>

#include "lathe/infer/sampler/probabilities.h"

namespace lathe {

void temperature(std::span<float> logits, double temperature) {
  if (logits.empty()) return;
  const float largest = *std::max_element(logits.begin(), logits.end());
  if (largest == kRemoved) return;
  for (float& l : logits) l = static_cast<float>(static_cast<double>(l - largest) / temperature);
}

int32_t greedy_choice(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace lathe
