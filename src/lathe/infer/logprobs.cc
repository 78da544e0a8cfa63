#include "lathe/infer/logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lathe {

Logprobs::Logprobs(std::span<const float> logits) : logits_(logits) {
  const double largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  log_sum_ = largest + std::log(sum);
}

float Logprobs::of(int32_t token) const {
  return static_cast<float>(static_cast<double>(logits_[static_cast<size_t>(token)]) - log_sum_);
}

std::vector<TokenLogprob> Logprobs::top(int64_t most) const {
  std::vector<int32_t> ids(logits_.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto end = ids.begin() + std::clamp<int64_t>(most, 0, std::ssize(ids));
  std::ranges::partial_sort(ids, end, [&](int32_t a, int32_t b) {
    const float x = logits_[static_cast<size_t>(a)], y = logits_[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
  std::vector<TokenLogprob> all;
  for (auto id = ids.begin(); id != end; ++id) all.push_back({*id, of(*id)});
  return all;
}

}  // namespace lathe
