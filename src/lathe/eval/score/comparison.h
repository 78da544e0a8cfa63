// The scorer of a task that names none: answers are compared with the item's target.
#pragma once

#include <memory>

#include "lathe/eval/score/scorer.h"

namespace lathe {

// An answer is right if what a filter finds in it equals the target. With `normalize`, what its expressions match is
// removed from both, and case does not count; without it, blanks at the ends do not. Expressions are those of Python's
// `re`, and filters those of lm-evaluation-harness: of the first or last place, the first group that matched. Errors: kConfig for
// a task without target or with an expression that is none.
std::unique_ptr<Scorer> make_comparison(const EvalTask& task);

}  // namespace lathe
