// Softmax over the tokens that are still in, shared by the filters.
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

// Of every token that is not removed, in order of id; double, the largest logit subtracted first.
// Empty when none is left. The caller has made sure that no logit is NaN or +inf.
std::vector<Probability> probabilities(std::span<const float> logits);

}  // namespace lathe
