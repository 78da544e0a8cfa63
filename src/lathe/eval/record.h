// A line of items.jsonl: what was asked, what came back, and what it is worth.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lathe/eval/task/task.h"

namespace lathe {

// What came back for an item. All lists but the last have one entry for each continuation.
struct EvalAnswer {
  std::vector<double> logprobs;  // Σ log p of the continuation's tokens
  std::vector<bool> greedy;      // whether each of these is the likeliest
  std::vector<int64_t> tokens;   // their number
  std::vector<double> uncond;    // Σ log p behind uncond_prompt, where a metric asks for it
  // Of choices and targets: each token of the continuation as text, and its log p.
  std::vector<std::vector<std::pair<std::string, float>>> per_token;
  bool truncated = false;  // the model sees less than was asked
  std::vector<std::string> responses;
};

struct EvalRecord {
  std::string task;
  EvalItem item;
  EvalAnswer answer;
  nlohmann::ordered_json filtered = nullptr;    // what was compared, by filter
  std::string reason;                           // why a program failed
  nlohmann::ordered_json judgements = nullptr;  // what a judge was asked and wrote (score/judge.h)
  // By name, of this item: a number, or a list with one for each instruction. Empty where a judge is still to be asked.
  nlohmann::ordered_json metrics = nlohmann::ordered_json::object();
  bool known = false;  // all of it, from caches; no part of the line
};

// A number, or by name where they have names: {"words": 500, "depth": 25}.
nlohmann::ordered_json json_of(const Difficulty& difficulty);
Difficulty difficulty_of(const nlohmann::ordered_json& json);  // of what json_of() gave

nlohmann::ordered_json json_of(const EvalAnswer& answer);
EvalAnswer answer_of(const nlohmann::ordered_json& json);  // of what json_of() gave
nlohmann::ordered_json json_of(const EvalRecord& record);
// Errors: kData at `place` for a line that is none of these.
EvalRecord record_of(const nlohmann::ordered_json& line, std::string_view place);

}  // namespace lathe
