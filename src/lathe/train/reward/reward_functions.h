// The catalogue of verifiers: functions that give an answer a reward, chosen by reward.functions.
//
//   // exact_match.cc: one function, and its line in reward_functions.cc
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "lathe/train/reward/reward_config.h"
#include "lathe/train/reward/tool_use.h"

namespace lathe {

class Regex;  // text/split/regex.h

// What a verifier sees of a rollout.
struct RewardInput {
  const nlohmann::ordered_json& row;  // the prompt's row of the data, with all its fields
  std::string_view completion;        // the answer as text, without the token that ends it
  std::span<const int32_t> ids = {};  // of the answer, with the token that ends it
  bool ended = false;                 // the model ended it itself, before max_completion_length
  std::span<const int32_t> prompt = {};
  std::string_view place = {};  // of the row: "file:line", for errors
  std::span<const ToolUse> tool_calls = {};

  // Without the token that ends it.
  int64_t tokens() const { return std::ssize(ids) - (ended ? 1 : 0); }
};

struct RewardFunction {
  std::string_view name, summary;
  // nullptr: it runs programs, for all answers together (unit_tests.h). `pattern` is reward.pattern, of a whole
  // answer, or nullptr. Errors: kData, naming the row's field that is missing.
  double (*of)(const RewardInput& input, const RewardKeys& keys, const Regex* pattern);
  bool runs_programs() const { return of == nullptr; }
};
std::span<const RewardFunction> reward_functions();

}  // namespace lathe
