// What a step's rollouts leave behind: numbers for the metrics and lines of rollouts.jsonl.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "lathe/train/task.h"
#include "lathe/train/task/rollout.h"

namespace lathe {

// `parts` are RewardConfig::parts().
NamedNumbers rollout_numbers(const std::vector<Rollout>& rollouts,
                             const std::vector<std::string>& parts);

nlohmann::ordered_json rollout_line(const Rollout& rollout, int64_t step);

}  // namespace lathe
