// Log-probabilities of a row of logits: log softmax, summed in double.
#pragma once

#include <span>
#include <vector>

#include "lathe/infer/request.h"

namespace lathe {

// `logits` [V] must outlive it.
class Logprobs {
 public:
  explicit Logprobs(std::span<const float> logits);

  float of(int32_t token) const;
  double log_sum() const { return log_sum_; }  // log Σ exp(logit)
  // The `most` most likely tokens, most likely first, lowest id on ties.
  std::vector<TokenLogprob> top(int64_t most) const;

 private:
  std::span<const float> logits_;
  double log_sum_ = 0;
};

}  // namespace lathe
