#include "lathe/train/objective/answer_objective.h"

#include "lathe/train/objective/rollout_config.h"

namespace lathe {

std::vector<Advantages> AnswerObjective::advantages(const std::vector<RolloutBatch>&) const {
  return {};
}

std::optional<KlControl> AnswerObjective::kl_control() const { return std::nullopt; }

Measured measured(std::string name, const Values& numbers) {
  return {std::move(name), sum(numbers).item(), static_cast<double>(numbers.size())};
}

Measured measured_mean(std::string name, double mean, double weight) {
  return {std::move(name), mean * weight, weight};
}

}  // namespace lathe
