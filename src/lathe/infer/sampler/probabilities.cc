#include "lathe/infer/sampler/probabilities.h"

#include <algorithm>
#include <cmath>

namespace lathe {

std::vector<Probability> probabilities(std::span<const float> logits) {
  std::vector<Probability> out;
  if (logits.empty()) return out;
  out.reserve(logits.size());
  const double largest = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] == kRemoved) continue;
    const double e = std::exp(static_cast<double>(logits[i]) - largest);
    out.push_back({static_cast<int32_t>(i), e});
    total += e;
  }
  for (Probability& p : out) p.value /= total;
  return out;
}

}  // namespace lathe
