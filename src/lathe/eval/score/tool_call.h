// The scorer "tool_call": calls of functions, judged by their syntax alone, as the AST check of the Berkeley Function
// Calling Leaderboard does it (Patil et al. 2025); nothing is called.
#pragma once

#include <memory>

#include "lathe/eval/score/scorer.h"

namespace lathe {

// A response is right if the calls in it (calls/written_calls.h) are those that a list allows (calls/allowed_calls.h), in
// any order; with an empty list, if it calls nothing. The list is the task's target, as JSON, or else the row's
// `ground_truth`. The reason says the first difference of the first response. Errors: kData, naming the row, for one
// without such a list.
std::unique_ptr<Scorer> make_tool_call(const EvalTask& task, const ScorerContext&);

}  // namespace lathe
