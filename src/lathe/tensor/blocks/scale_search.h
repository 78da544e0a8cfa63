// The scales that represent some numbers best by small integers: minimises
//   sum w·(x - scale·q - offset)²   over the scale, the offset and the integers q,
// by trying scales near the one that just covers the range, each improved by least squares. Sums
// have a fixed order. Internal to tensor/blocks.
#pragma once

#include <cstdint>
#include <span>

namespace lathe::blocks {

// x ≈ scale·q + offset
struct Affine {
  float scale = 0, offset = 0;
};

// What the numbers are weighed with: `importance` or 1.
class Weights {
 public:
  explicit Weights(const float* importance) : importance_(importance) {}
  float operator[](size_t i) const { return importance_ != nullptr ? importance_[i] : 1.0f; }
  Weights from(size_t i) const {
    return Weights(importance_ != nullptr ? importance_ + i : nullptr);
  }

 private:
  const float* importance_;
};

// The nearest integer, ties to even, for |x| < 2^22.
inline float nearest(float x) {
  constexpr float kShift = 12582912.0f;  // 1.5·2^23
  return (x + kShift) - kShift;
}

inline float nearest_within(float x, float lowest, float highest) {
  const float q = nearest(x < lowest - 1 ? lowest - 1 : x > highest + 1 ? highest + 1 : x);
  return q < lowest ? lowest : q > highest ? highest : q;
}

// Integers in [lowest, highest], no offset. Gives 0 where every x is 0.
float best_scale(std::span<const float> x, Weights w, float lowest, float highest);

// Integers in [0, highest], scale >= 0; with `never_above_zero` also offset <= 0.
Affine best_affine(std::span<const float> x, Weights w, float highest, bool never_above_zero);

// sum w·(x - scale·q - offset)² with the best q in [lowest, highest] for this scale and offset.
float squared_error(std::span<const float> x, Weights w, Affine fit, float lowest, float highest);

}  // namespace lathe::blocks
