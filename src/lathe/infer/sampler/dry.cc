#include "lathe/infer/sampler/dry.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <vector>

#include "lathe/infer/sampler/repeats.h"

namespace lathe {

void dry(std::span<float> logits, const TokenHistory& history, const DrySpec& spec) {
  std::vector<int64_t> breakers(spec.breakers.begin(), spec.breakers.end());
  std::sort(breakers.begin(), breakers.end());
  const auto breaks = [&](const Repeat& r) {
    return std::binary_search(breakers.begin(), breakers.end(), int64_t{r.next});
  };
  const std::vector<Repeat> repeats = find_repeats(history, spec.range);
  // The last breaker bounds every passage that ends the text.
  const int64_t bound = std::find_if(repeats.begin(), repeats.end(), breaks) - repeats.begin();

  std::unordered_map<int32_t, int64_t> longest;  // token -> n(t)
  for (const Repeat& r : repeats) {
    const int64_t length = std::min(r.length, bound);
    if (length < spec.allowed_length || breaks(r)) continue;
    int64_t& best = longest[r.next];
    best = std::max(best, length);
  }
  for (const auto& [id, length] : longest) {
    if (id < 0 || static_cast<size_t>(id) >= logits.size()) continue;
    const double growth = std::pow(spec.base, static_cast<double>(length - spec.allowed_length));
    logits[static_cast<size_t>(id)] -= static_cast<float>(std::min(1e30, spec.multiplier * growth));
  }
}

}  // namespace lathe
