#include "lathe/infer/sampler/top_n_sigma.h"

#include <algorithm>
#include <cmath>

#include "lathe/infer/sampler/probabilities.h"

namespace lathe {

void top_n_sigma(std::span<float> logits, double n) {
  double sum = 0, count = 0;
  for (const float l : logits)
    if (l != kRemoved) sum += l, count += 1;
  if (count == 0) return;
  const double mean = sum / count;
  double squares = 0;
  for (const float l : logits)
    if (l != kRemoved) squares += (l - mean) * (l - mean);
  const double largest = *std::max_element(logits.begin(), logits.end());
  const double lowest = largest - n * std::sqrt(squares / count);
  for (float& l : logits)
    if (l < lowest) l = kRemoved;
}

}  // namespace lathe
