// Sorting a vocabulary to find a few dozen tokens would be waste. All tokens with probability below
// (1 − p) / V together have less than 1 − p, so none of them can belong to the nucleus; what
// remains becomes a heap from which tokens are taken in order until p is reached.
#include "lathe/infer/sampler/top_p.h"

#include <algorithm>
#include <vector>

#include "lathe/infer/sampler/probabilities.h"

namespace lathe {

void top_p(std::span<float> logits, double p) {
  std::vector<Probability> heap = probabilities(logits);
  if (heap.empty()) return;
  const double negligible = (1 - p) / static_cast<double>(heap.size());
  std::erase_if(heap, [=](const Probability& x) { return x.value < negligible; });

  const auto later = [&](const Probability& a, const Probability& b) {
    const float la = logits[static_cast<size_t>(a.id)], lb = logits[static_cast<size_t>(b.id)];
    return la != lb ? la < lb : a.id < b.id;
  };
  std::make_heap(heap.begin(), heap.end(), later);
  std::vector<Probability> kept;
  for (double mass = 0; !heap.empty() && (kept.empty() || mass < p);) {
    std::pop_heap(heap.begin(), heap.end(), later);
    kept.push_back(heap.back());
    mass += heap.back().value;
    heap.pop_back();
  }
  std::vector<float> values;
  for (const Probability& k : kept) values.push_back(logits[static_cast<size_t>(k.id)]);
  std::fill(logits.begin(), logits.end(), kRemoved);
  for (size_t i = 0; i < kept.size(); ++i) logits[static_cast<size_t>(kept[i].id)] = values[i];
}

}  // namespace lathe
