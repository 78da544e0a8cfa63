#include "lathe/infer/sampler/mirostat.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <vector>

#include "lathe/infer/sampler/probabilities.h"
#include "lathe/infer/sampler/top_k.h"

namespace lathe {
namespace {

constexpr size_t kFitted = 100;

// The exponent of Zipf's law through the most likely tokens; 0 for a flat row. `left` is reordered.
double zipf_exponent(std::vector<float>& left) {
  const size_t count = std::min(left.size(), kFitted);
  std::partial_sort(left.begin(), left.begin() + static_cast<ptrdiff_t>(count), left.end(),
                    std::greater<>());
  double products = 0, squares = 0;
  for (size_t i = 1; i < count; ++i) {
    const double t = std::log(static_cast<double>(i + 1) / static_cast<double>(i));
    products += t * (static_cast<double>(left[i - 1]) - static_cast<double>(left[i]));
    squares += t * t;
  }
  return squares > 0 ? products / squares : 0;
}

// How many tokens of a law with exponent s over n tokens have an expected surprise of `bound` bits.
int64_t zipf_rank(double s, double n, double bound) {
  const double epsilon = s - 1;
  // ε / (1 − n^−ε) tends to 1 / ln n.
  const double factor =
      std::abs(epsilon) < 1e-9 ? 1 / std::log(n) : epsilon / (1 - std::pow(n, -epsilon));
  const double k = std::pow(factor * std::exp2(bound), 1 / s);
  return static_cast<int64_t>(std::round(std::clamp(k, 1.0, n)));
}

double log_total(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float l : logits) sum += std::exp(static_cast<double>(l) - largest);
  return largest + std::log(sum);
}

void keep_expected(std::span<float> logits, double bound) {
  std::vector<float> left;
  for (const float l : logits)
    if (l != kRemoved) left.push_back(l);
  if (left.size() < 2) return;
  const double s = zipf_exponent(left);
  if (s > 0) top_k(logits, zipf_rank(s, static_cast<double>(left.size()), bound));
}

void keep_within(std::span<float> logits, double bound, double log_total) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  const double lowest = std::min(largest, log_total - bound * std::numbers::ln2);
  for (float& l : logits)
    if (l < lowest) l = kRemoved;
}

}  // namespace

void mirostat(std::span<float> logits, const Mirostat& spec, MirostatState& state) {
  if (std::ranges::all_of(logits, [](float l) { return l == kRemoved; })) return;
  state.log_total = log_total(logits);
  if (!state.bound) state.bound = 2 * spec.target;
  if (spec.version == 1)
    keep_expected(logits, *state.bound);
  else
    keep_within(logits, *state.bound, state.log_total);
}

void observe_mirostat(float logit, const Mirostat& spec, MirostatState& state) {
  const double surprise = (state.log_total - static_cast<double>(logit)) / std::numbers::ln2;
  state.bound =
      state.bound.value_or(2 * spec.target) - spec.learning_rate * (surprise - spec.target);
}

}  // namespace lathe
