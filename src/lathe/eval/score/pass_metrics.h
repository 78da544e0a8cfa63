// What follows from verdicts of right and wrong.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "lathe/eval/score/scorer.h"

namespace lathe {

// What a filter gives where nothing matched.
inline constexpr std::string_view kInvalidAnswer = "[invalid]";

// Adds those of the task's metrics that follow from score.judged, by name, with @FILTER behind it where there are several:
//   exact_match  the first answer is right
//   majority     the text that most answers have is right, the first of equally frequent ones; what no filter found has no
//                vote
//   pass@K       one of K drawn answers is right (statistics.h)
// Errors: kData for pass@K of fewer answers than K.
void add_pass_metrics(const TaskConfig& task, const Score& score, nlohmann::ordered_json& metrics);

}  // namespace lathe
