// What objectives of pairs share: the chosen and the rejected half of a batch.
#pragma once

#include "lathe/train/objective/answer_objective.h"

namespace lathe {

// [0, B) and [B, 2B) of numbers of sequences.
inline Values chosen_of(const Values& x) {
  std::vector<int64_t> index(x.size() / 2);
  for (size_t i = 0; i < index.size(); ++i) index[i] = static_cast<int64_t>(i);
  return take(x, std::move(index));
}
inline Values rejected_of(const Values& x) {
  std::vector<int64_t> index(x.size() / 2);
  for (size_t i = 0; i < index.size(); ++i) index[i] = static_cast<int64_t>(i + x.size() / 2);
  return take(x, std::move(index));
}

// Of each sequence, the number of tokens of its answer that are scored.
Values answer_lengths(const AnswerBatch& batch);
// The sum of numbers of tokens over each sequence's answer.
Values answer_sums(const Values& x, const AnswerBatch& batch);
// −log p per token over all scored tokens of the step's chosen answers; the part of this micro-batch.
Values chosen_nll(const LossInput& in);
Measured measured_nll(const LossInput& in, const Values& nll);

// TRL's metrics of the implicit rewards of a pair's answers, [B] each.
void add_reward_metrics(const Values& chosen, const Values& rejected,
                        std::vector<Measured>& metrics);

}  // namespace lathe
