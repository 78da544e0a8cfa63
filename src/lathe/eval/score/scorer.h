// The catalogue of what judges texts that a model wrote, chosen by `scorer` in a task's file.
//
//   // ifeval.cc: a class, and its line in scorers.cc
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/eval/ask/answer_source.h"

namespace lathe {

// An item with the texts that a model wrote to it.
struct Answered {
  const EvalItem& item;
  const nlohmann::ordered_json& row;  // of the data, with all its fields
  std::span<const std::string> responses;
};

// The verdicts of one filter. The metrics exact_match, majority and pass@K follow from them (pass_metrics.h).
struct Judged {
  std::string filter;              // its name, or empty where there is one
  std::vector<std::string> texts;  // what was judged of each response
  std::vector<bool> right;         // of each response
};

struct Score {
  std::vector<Judged> judged = {};
  // Metrics of the scorer's own, by name: a number, or a list with one for each instruction.
  nlohmann::ordered_json metrics = nlohmann::ordered_json::object();
  std::string reason =
      {};  // why the first response is wrong, where the scorer knows more than that
  nlohmann::ordered_json judgements = nullptr;  // what a judge was asked and wrote (judge.h)
  bool known = true;                            // what a judge wrote, to a cache
};

using TakeScore = std::function<void(size_t item, Score)>;

class Scorer {
 public:
  virtual ~Scorer() = default;
  // Whether an item could be judged, whatever was answered: of one with an empty response, which score() could refuse
  // only when all is answered. Errors: those of score().
  virtual void check(const Answered&) const {}
  // Gives each item's to `take` once, as soon as it is known, with the item's place among them: what was given stays,
  // whatever happens to the others. `while_waiting` is called at least every 100 ms while something else computes, and
  // may throw. Errors: kData, naming the item's place and its field that cannot be used.
  virtual void score(std::span<const Answered> items, const TakeScore& take,
                     const std::function<void()>& while_waiting) = 0;
};

// What scorers use beside the task.
struct ScorerContext {
  AnswerSource* judge = nullptr;  // answers questions about answers
};

struct ScorerRule {
  std::string_view name, summary, source;
  std::vector<std::string> metrics;  // that follow from it
  bool runs_programs = false;        // needs --allow-code
  bool asks_judge = false;           // needs ScorerContext::judge
  // Of a task that names it, with what it needs. Errors: kConfig, naming the task's file and key.
  std::unique_ptr<Scorer> (*make)(const EvalTask& task, const ScorerContext& context);
};
const std::vector<ScorerRule>& scorers();

// Whether the task names a scorer that does.
bool runs_programs(const TaskConfig& task);
bool asks_judge(const TaskConfig& task);

// That of the task: the one it names, or the comparison with its target (comparison.h). Errors: kConfig, too, for one that
// asks a judge without there being one.
std::unique_ptr<Scorer> make_scorer(const EvalTask& task, const ScorerContext& context = {});

}  // namespace lathe
