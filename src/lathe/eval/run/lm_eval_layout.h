// The results of a run in the layout of lm-evaluation-harness 0.4.13, for programs that read that: MODEL/results_DATE.json
// and MODEL/samples_TASK_DATE.jsonl.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "lathe/eval/run/eval_run.h"

namespace lathe {

// Below `folder`. Metrics are named METRIC,FILTER there, with the filter "none" where there is none.
void write_lm_eval_layout(const std::filesystem::path& folder, const std::vector<AskedTask>& tasks,
                          const ItemFile& items, const nlohmann::ordered_json& results,
                          const nlohmann::ordered_json& receipt);

}  // namespace lathe
