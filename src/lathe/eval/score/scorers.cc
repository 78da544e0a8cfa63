#include "lathe/base/catalogue.h"
#include "lathe/eval/score/comparison.h"
#include "lathe/eval/score/ifeval.h"
#include "lathe/eval/score/python_programs.h"
#include "lathe/eval/score/scorer.h"
#include "lathe/eval/score/tool_call.h"

namespace lathe {

const std::vector<ScorerRule>& scorers() {
  static const std::vector<ScorerRule> kScorers = {
      {"ifeval",
       "instructions that a program can check, of rows with `instruction_id_list` and `kwargs`",
       "Zhou et al. 2023, arXiv:2311.07911",
       {"prompt_strict", "prompt_loose", "instruction_strict", "instruction_loose"},
       false,
       make_ifeval},
      {"tool_call",
       "calls of functions, compared with those that `target`, or the row's `ground_truth`, allows",
       "Patil et al. 2025, Berkeley Function Calling Leaderboard",
       {"exact_match", "pass@K"},
       false,
       make_tool_call},
      {"python",
       "`program` is run in a sandbox, and has to come to its end",
       "Chen et al. 2021, arXiv:2107.03374",
       {"exact_match", "pass@K"},
       true,
       make_python_programs},
  };
  return kScorers;
}

std::unique_ptr<Scorer> make_scorer(const EvalTask& task) {
  const auto& name = task.config().scorer;
  return name ? find_in(scorers(), "scorer", *name).make(task) : make_comparison(task);
}

}  // namespace lathe
