// The scorer "ifeval": instructions that a program can check (IFEval, Zhou et al. 2023, arXiv:2311.07911).
#pragma once

#include <memory>

#include "lathe/eval/score/scorer.h"

namespace lathe {

// Of rows with `instruction_id_list` and `kwargs`, a list as long with the arguments of each (ifeval/instruction.h).
// Judges the first response. An instruction is followed strictly by a response that is not blank and passes its check;
// loosely, if any of eight passes: the response, without its first line, its last, or both, each also without its
// stars. Metrics:
//   instruction_strict, instruction_loose  a list of booleans, one for each instruction
//   prompt_strict, prompt_loose            1 if all are true, else 0
// Errors: kConfig for a task of several samples; kData for a row without these fields, or with other arguments.
std::unique_ptr<Scorer> make_ifeval(const EvalTask& task, const ScorerContext&);

}  // namespace lathe
