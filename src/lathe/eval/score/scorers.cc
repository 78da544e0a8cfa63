#include "lathe/base/catalogue.h"
#include "lathe/eval/score/comparison.h"
#include "lathe/eval/score/scorer.h"

namespace lathe {

const std::vector<ScorerRule>& scorers() {
  static const std::vector<ScorerRule> kScorers = {};
  return kScorers;
}

std::unique_ptr<Scorer> make_scorer(const EvalTask& task) {
  const auto& name = task.config().scorer;
  return name ? find_in(scorers(), "scorer", *name).make(task) : make_comparison(task);
}

}  // namespace lathe
