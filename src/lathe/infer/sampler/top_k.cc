// The k largest so far are held in a heap whose top is the smallest of them. Few of the later
// logits beat it, so that one pass over the vocabulary and about k·log(V/k) heap operations
// suffice.
#include "lathe/infer/sampler/top_k.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "lathe/infer/sampler/probabilities.h"

namespace lathe {

void top_k(std::span<float> logits, int64_t k) {
  if (k >= static_cast<int64_t>(logits.size())) return;
  const size_t count = static_cast<size_t>(k);
  std::vector<float> heap(logits.begin(), logits.begin() + k);
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  for (float l : logits.subspan(count)) {
    if (l <= heap.front()) continue;
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    heap.back() = l;
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  }
  const float threshold = heap.front();
  for (float& l : logits)
    if (l < threshold) l = kRemoved;
}

}  // namespace lathe
