#include "lathe/train/objective/pairs.h"

#include <numeric>

namespace lathe {
namespace {

Values as_values(const std::vector<uint8_t>& flags) {
  return {std::vector<double>(flags.begin(), flags.end())};
}

}  // namespace

Values answer_lengths(const AnswerBatch& batch) {
  return sums(as_values(batch.in_answer), batch.scored);
}

Values answer_sums(const Values& x, const AnswerBatch& batch) {
  return sums(x * as_values(batch.in_answer), batch.scored);
}

Values chosen_nll(const LossInput& in) {
  const int64_t end = in.batch.scored.first(static_cast<int64_t>(in.batch.examples.size()));
  std::vector<int64_t> tokens(static_cast<size_t>(end));
  std::iota(tokens.begin(), tokens.end(), 0);
  return -sum(take(in.logps, std::move(tokens))) / static_cast<double>(in.step.first_tokens);
}

Measured measured_nll(const LossInput& in, const Values& nll) {
  const int64_t own = in.batch.scored.first(static_cast<int64_t>(in.batch.examples.size()));
  return {"nll_loss", nll.item() * static_cast<double>(in.step.first_tokens),
          static_cast<double>(own)};
}

void add_reward_metrics(const Values& chosen, const Values& rejected,
                        std::vector<Measured>& metrics) {
  double right = 0;
  for (size_t i = 0; i < chosen.size(); ++i) right += chosen[i] > rejected[i] ? 1 : 0;
  metrics.push_back(measured("rewards/chosen", chosen));
  metrics.push_back(measured("rewards/rejected", rejected));
  metrics.push_back({"rewards/accuracies", right, static_cast<double>(chosen.size())});
  metrics.push_back(measured("rewards/margins", chosen - rejected));
}

}  // namespace lathe
