// The reward of code: the tests of a row, run behind the program that an answer has, in a sandbox.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/io/sandbox/python.h"
#include "lathe/train/reward/reward_functions.h"

namespace lathe {

// The program of an answer (text/fenced_code.h) and its tests: the row's `tests` (a text, or a list of texts), or `test` as HumanEval has it
// (Chen et al. 2021, arXiv:2107.03374). With `entry_point`, the name of a function, `check(ENTRY_POINT)` is called
// behind tests that define check(), and a `prompt` that is text and has the head of that function stands before the
// code, which completes it or defines it again. Error kData, naming the place, for a row without tests.
PythonTests python_tests_of(const RewardInput& input);

struct UnitTestResult {
  std::optional<double> value;  // nullopt: the sandbox could not run it
  PythonVerdict::End end;
};
// 1 if all tests pass and otherwise 0, or with `keys.partial_credit` the share that passes. Error kData, naming the
// row, for tests that are no Python; otherwise as run_tests().
std::vector<UnitTestResult> unit_tests(std::span<const RewardInput> inputs, const RewardKeys& keys,
                                       PythonSandbox& python,
                                       const std::function<void()>& while_waiting);

}  // namespace lathe
