#include "lathe/infer/sampler/min_p.h"

#include <algorithm>
#include <cmath>

#include "lathe/infer/sampler/probabilities.h"

namespace lathe {

void min_p(std::span<float> logits, double min_p) {
  if (logits.empty() || min_p <= 0) return;
  const double largest = *std::max_element(logits.begin(), logits.end());
  // p / p_max < min_p in logits: no exponential for each token.
  const double margin = std::log(min_p);
  for (float& l : logits)
    if (static_cast<double>(l) - largest < margin) l = kRemoved;
}

}  // namespace lathe
