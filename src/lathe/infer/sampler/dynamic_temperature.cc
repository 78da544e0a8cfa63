#include "lathe/infer/sampler/dynamic_temperature.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "lathe/infer/sampler/probabilities.h"
#include "lathe/infer/sampler/temperature.h"

namespace lathe {
namespace {

// H / ln n, between 0 and 1; 0 for one token.
double relative_entropy(const std::vector<Probability>& probability) {
  if (probability.size() < 2) return 0;
  double entropy = 0;
  for (const Probability& p : probability)
    if (p.value > 0) entropy -= p.value * std::log(p.value);
  return std::min(1.0, entropy / std::log(static_cast<double>(probability.size())));
}

}  // namespace

void dynamic_temperature(std::span<float> logits, const DynamicTemperature& spec) {
  const double low = std::max(0.0, spec.temperature - spec.range);
  const double high = spec.temperature + spec.range;
  const double share = std::pow(relative_entropy(probabilities(logits)), spec.exponent);
  // The smallest normal number instead of 0: the division then removes all but the largest.
  temperature(logits, std::max(low + (high - low) * share, std::numeric_limits<double>::min()));
}

}  // namespace lathe
