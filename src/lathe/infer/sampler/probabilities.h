// Softmax over the tokens that have not been removed, shared by the filters.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace lathe {

constexpr float kRemoved = -std::numeric_limits<float>::infinity();

struct Probability {
  int32_t id;
  double value;
};

// The probability of every token that is not removed, in order of id; in double, with the largest
// logit subtracted first. Empty if no token is left. The caller must make sure that no logit is NaN
// or +inf.
std::vector<Probability> probabilities(std::span<const float> logits);

}  // namespace lathe
