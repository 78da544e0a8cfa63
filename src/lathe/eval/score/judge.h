// The scorer "judge": another model is asked about answers, by a rubric (Zheng et al. 2023, arXiv:2306.05685).
#pragma once

#include <memory>

#include "lathe/eval/score/scorer.h"

namespace lathe {

// The judge is asked the task's `judge.prompt`, behind the message `judge.system`: templates of the row's fields, of
// `request`, which the model was asked, and of
//   response        the answer, where the judge rates it
//   first, second   the answer and `judge.baseline` in both orders, where it compares the two
// These names win over fields of the row. A response is a value of a variable: nothing in it is read as a template.
//
// Ratings: the number that `judge.rating` finds (answer_pattern.h) is the verdict, if it is in [lowest, highest].
// Comparisons: of judge.first, .second and .tie the one that matches first (or last, by `judge.which`) is; none, if two do
// so at the same place. A response wins if it is preferred in both orders, and loses if the baseline is; all other pairs are ties. A
// text without a verdict is none, not a zero, nor is one of a judge that did not see the whole question.
//
// Metrics, of each response a number, in a list where there are several:
//   rating        of those with a verdict
//   win_rate      1 for a win, ½ for a tie, 0 for a loss; of those with a verdict in both orders
//   consistency   1 if the verdict is the same in both orders; of the same
//   no_verdict    1 if there is none, or one in one order alone
// Judged are all samples. Errors: kConfig for an expression that is none; kData, naming the row, for a template that
// cannot be rendered; those of the judge.
std::unique_ptr<Scorer> make_judge(const EvalTask& task, const ScorerContext& context);

}  // namespace lathe
