// XTC, exclude top choices (Weidmann 2024, text-generation-webui): with probability
// `probability`, removes every token of at least `threshold` except the least likely of them, so
// that the text takes a less obvious way of those that are still good. At most one token reaches a
// threshold above 0.5, and then nothing is removed. Of equally likely ones the lowest id stays.
#pragma once

#include <span>

#include "lathe/base/rng.h"

namespace lathe {

struct Xtc {
  double probability;  // 0 to 1
  double threshold;    // 0 to 1
};

// The choice whether to act is rng.uniform64(0).
void xtc(std::span<float> logits, const Xtc& spec, const Rng& rng);

}  // namespace lathe
