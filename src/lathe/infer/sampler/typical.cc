#include "lathe/infer/sampler/typical.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "lathe/infer/sampler/probabilities.h"

namespace lathe {
namespace {

struct Surprise {
  int32_t id;
  double distance;  // | -log p - H |
  double probability;
};

// -log p, from the logits rather than from p, which may have underflowed to 0.
std::vector<Surprise> surprises(std::span<const float> logits) {
  std::vector<Surprise> out;
  const std::vector<Probability> probability = probabilities(logits);
  if (probability.empty()) return out;
  // The likeliest token has e^0 over the sum of exponentials.
  const double largest = *std::max_element(logits.begin(), logits.end());
  double likeliest = 0;
  for (const Probability& p : probability) likeliest = std::max(likeliest, p.value);
  const double log_total = largest - std::log(likeliest);
  double entropy = 0;
  for (const Probability& p : probability) {
    const double surprise = log_total - static_cast<double>(logits[static_cast<size_t>(p.id)]);
    entropy += p.value * surprise;
    out.push_back({p.id, surprise, p.value});
  }
  for (Surprise& s : out) s.distance = std::abs(s.distance - entropy);
  return out;
}

}  // namespace

void typical(std::span<float> logits, double mass) {
  std::vector<Surprise> all = surprises(logits);
  if (all.empty()) return;
  std::vector<Surprise> heap = all;
  const auto later = [](const Surprise& a, const Surprise& b) {
    return a.distance != b.distance ? a.distance > b.distance : a.id > b.id;
  };
  std::make_heap(heap.begin(), heap.end(), later);
  double sum = 0, border = 0;
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    border = heap.back().distance;
    sum += heap.back().probability;
    heap.pop_back();
    if (sum >= mass) break;
  }
  for (const Surprise& s : all)
    if (s.distance > border) logits[static_cast<size_t>(s.id)] = kRemoved;
}

}  // namespace lathe
