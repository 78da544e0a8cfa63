#include "lathe/infer/sampler/temperature.h"

#include <algorithm>
#include <array>

#include "lathe/infer/sampler/probabilities.h"

namespace lathe {

void temperature(std::span<float> logits, double temperature) {
  if (logits.empty()) return;
  const float largest = *std::max_element(logits.begin(), logits.end());
  if (largest == kRemoved) return;
  for (float& l : logits) l = static_cast<float>(static_cast<double>(l - largest) / temperature);
}

// The largest in independent lanes, which the compiler computes side by side, then its first place.
int32_t greedy_choice(std::span<const float> logits) {
  constexpr size_t kLanes = 16;
  std::array<float, kLanes> lanes;
  lanes.fill(logits.front());
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane)
      lanes[lane] = logits[i + lane] > lanes[lane] ? logits[i + lane] : lanes[lane];
  float largest = *std::max_element(lanes.begin(), lanes.end());
  for (; i < logits.size(); ++i) largest = std::max(largest, logits[i]);
  return static_cast<int32_t>(std::find(logits.begin(), logits.end(), largest) - logits.begin());
}

}  // namespace lathe
