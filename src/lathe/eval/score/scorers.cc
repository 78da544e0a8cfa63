#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/eval/score/comparison.h"
#include "lathe/eval/score/ifeval.h"
#include "lathe/eval/score/judge.h"
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
       false,
       make_ifeval},
      {"tool_call",
       "calls of functions, compared with those that `target`, or the row's `ground_truth`, allows",
       "Patil et al. 2025, Berkeley Function Calling Leaderboard",
       {"exact_match", "pass@K"},
       false,
       false,
       make_tool_call},
      {"python",
       "`program` is run in a sandbox, and has to come to its end",
       "Chen et al. 2021, arXiv:2107.03374",
       {"exact_match", "pass@K"},
       true,
       false,
       make_python_programs},
      {"judge",
       "another model is asked about answers, by the table `judge`",
       "Zheng et al. 2023, arXiv:2306.05685",
       {"rating", "win_rate", "consistency", "no_verdict"},
       false,
       true,
       make_judge},
  };
  return kScorers;
}

namespace {

const ScorerRule* rule_of(const TaskConfig& task) {
  return task.scorer ? &find_in(scorers(), "scorer", *task.scorer) : nullptr;
}

}  // namespace

bool runs_programs(const TaskConfig& task) {
  const ScorerRule* rule = rule_of(task);
  return rule && rule->runs_programs;
}

bool asks_judge(const TaskConfig& task) {
  const ScorerRule* rule = rule_of(task);
  return rule && rule->asks_judge;
}

std::unique_ptr<Scorer> make_scorer(const EvalTask& task, const ScorerContext& context) {
  const ScorerRule* rule = rule_of(task.config());
  if (!rule) return make_comparison(task);
  require(!rule->asks_judge || context.judge, ErrorKind::kConfig, task.config().file.string(),
          "asks a judge about answers, and there is none");
  return rule->make(task, context);
}

}  // namespace lathe
