// The scorer "python": programs that a model wrote, run where they can do no harm.
#pragma once

#include <memory>

#include "lathe/eval/score/scorer.h"

namespace lathe {

// A response is right if the task's `program`, a template of the row's fields and `response`, comes to its end in the
// sandbox (io/sandbox/python.h) within the task's limits. What stands behind the last {{ … response … }} is Python of
// its own, such as tests: it runs behind the rest in its scope, so that a response can neither leave before it with
// success nor replace what it defines. The reason says in words how the first response failed. Needs Python and
// bubblewrap, and looks for them when the first program runs.
//
// Errors: kConfig, naming the task's file, for a program without {{ response }}, and where no sandbox can be made;
// kData, naming the row, for a template that cannot be rendered and for a rest that is no Python.
std::unique_ptr<Scorer> make_python_programs(const EvalTask& task, const ScorerContext&);

}  // namespace lathe
