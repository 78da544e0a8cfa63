#include "lathe/infer/sampler/xtc.h"

#include <algorithm>
#include <vector>

#include "lathe/infer/sampler/probabilities.h"

namespace lathe {

void xtc(std::span<float> logits, const Xtc& spec, const Rng& rng) {
  if (rng.uniform64(0) >= spec.probability) return;
  std::vector<Probability> top = probabilities(logits);
  std::erase_if(top, [&](const Probability& p) { return p.value < spec.threshold; });
  if (top.size() < 2) return;
  const auto least = std::ranges::min_element(top, {}, &Probability::value);
  for (const Probability& p : top)
    if (p.id != least->id) logits[static_cast<size_t>(p.id)] = kRemoved;
}

}  // namespace lathe
