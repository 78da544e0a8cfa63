#include "lathe/tensor/blocks/scale_search.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace lathe::blocks {
namespace {

constexpr int kTries = 20;         // scales on a grid
constexpr float kGridStep = 0.1f;  // in units of one integer at the end of the range
constexpr int kImprovements = 3;   // rounds of least squares for the best of them
constexpr size_t kLanes = 8;       // in which sums run: a fixed order that vectorises

float inverse(float x) { return x != 0 && std::isfinite(1 / x) ? 1 / x : 0.0f; }

// Sums of K quantities over i.
template <size_t K, class Add>
std::array<float, K> sums(size_t n, Add&& add) {
  std::array<std::array<float, kLanes>, K> lanes{};
  for (size_t i = 0; i < n; i += kLanes)
    for (size_t lane = 0; lane < std::min(kLanes, n - i); ++lane) {
      const std::array<float, K> terms = add(i + lane);
      for (size_t k = 0; k < K; ++k) lanes[k][lane] += terms[k];
    }
  std::array<float, K> out{};
  for (size_t k = 0; k < K; ++k)
    for (const float lane : lanes[k]) out[k] += lane;
  return out;
}

struct Range {
  float lowest, highest;
};

// The least-squares scale for the integers that `scale` gives.
float refit_scale(std::span<const float> x, Weights w, float scale, Range r) {
  const float inv = inverse(scale);
  const auto [xq, qq] = sums<2>(x.size(), [&](size_t i) {
    const float q = nearest_within(x[i] * inv, r.lowest, r.highest);
    return std::array{w[i] * x[i] * q, w[i] * q * q};
  });
  return qq > 0 ? xq / qq : scale;
}

// The same with an offset: two normal equations.
Affine refit_affine(std::span<const float> x, Weights w, Affine fit, float highest,
                    bool never_above_zero) {
  const float inv = inverse(fit.scale);
  const auto [n, sq, sqq, sx, sxq] = sums<5>(x.size(), [&](size_t i) {
    const float q = nearest_within((x[i] - fit.offset) * inv, 0, highest);
    return std::array{w[i], w[i] * q, w[i] * q * q, w[i] * x[i], w[i] * x[i] * q};
  });
  const float det = n * sqq - sq * sq;
  if (!(det > 0)) return fit;
  Affine best{(n * sxq - sq * sx) / det, (sqq * sx - sq * sxq) / det};
  if (never_above_zero && best.offset > 0) best = {sqq > 0 ? sxq / sqq : fit.scale, 0};
  return best.scale > 0 ? best : fit;
}

// Keeps the fit with the smallest error.
template <class Fit>
class Best {
 public:
  Best(Fit first, float error) : fit_(first), error_(error) {}
  bool offer(Fit fit, float error) {
    if (!(error < error_)) return false;
    fit_ = fit;
    error_ = error;
    return true;
  }
  const Fit& fit() const { return fit_; }

 private:
  Fit fit_;
  float error_;
};

}  // namespace

float squared_error(std::span<const float> x, Weights w, Affine fit, float lowest, float highest) {
  const float inv = inverse(fit.scale);
  return sums<1>(x.size(), [&](size_t i) {
    const float q = nearest_within((x[i] - fit.offset) * inv, lowest, highest);
    const float d = x[i] - fit.scale * q - fit.offset;
    return std::array{w[i] * d * d};
  })[0];
}

float best_scale(std::span<const float> x, Weights w, float lowest, float highest) {
  float extreme = 0;
  for (const float v : x)
    if (std::abs(v) > std::abs(extreme)) extreme = v;
  if (extreme == 0) return 0;
  const auto error = [&](float scale) { return squared_error(x, w, {scale, 0}, lowest, highest); };
  Best<float> best(extreme / lowest, error(extreme / lowest));
  for (int t = -kTries; t <= kTries; ++t)
    for (const float end : {lowest, highest}) {
      const float inv =
          (end + (end < 0 ? -1 : 1) * kGridStep * static_cast<float>(t) / 2) / extreme;
      const float scale = refit_scale(x, w, 1 / inv, {lowest, highest});
      best.offer(scale, error(scale));
    }
  for (int i = 0; i < kImprovements; ++i) {
    const float scale = refit_scale(x, w, best.fit(), {lowest, highest});
    if (!best.offer(scale, error(scale))) break;
  }
  return best.fit();
}

Affine best_affine(std::span<const float> x, Weights w, float highest, bool never_above_zero) {
  const auto [least, most] = std::ranges::minmax(x);
  const float offset = never_above_zero ? std::min(least, 0.0f) : least;
  if (!(most > offset)) return {0, offset};
  const auto error = [&](Affine fit) { return squared_error(x, w, fit, 0, highest); };
  const Affine covering{(most - offset) / highest, offset};
  Best<Affine> best(covering, error(covering));
  for (int t = -kTries / 2; t <= kTries; ++t) {
    const float steps = highest + kGridStep * static_cast<float>(t);
    const Affine fit =
        refit_affine(x, w, {(most - offset) / steps, offset}, highest, never_above_zero);
    best.offer(fit, error(fit));
  }
  for (int i = 0; i < kImprovements; ++i) {
    const Affine fit = refit_affine(x, w, best.fit(), highest, never_above_zero);
    if (!best.offer(fit, error(fit))) break;
  }
  return best.fit();
}

}  // namespace lathe::blocks
