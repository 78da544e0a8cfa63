// What a step's rollouts leave behind: numbers for the metrics and lines of rollouts.jsonl.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "lathe/train/task.h"
#include "lathe/train/task/rollout.h"

namespace lathe {

// Of answers that are only judged: rewards, lengths, calls of tools. `parts` are RewardConfig::parts().
NamedNumbers answer_numbers(const std::vector<Rollout>& rollouts,
                            const std::vector<std::string>& parts);
// And of those that a step learns from: their groups, and how they were sampled.
NamedNumbers rollout_numbers(const std::vector<Rollout>& rollouts,
                             const std::vector<std::string>& parts);

nlohmann::ordered_json rollout_line(const Rollout& rollout, int64_t step);

}  // namespace lathe
