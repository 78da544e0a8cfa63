// Tasks, a source of answers, and a folder: what is asked, what is written, and what it amounts to.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lathe/eval/ask/answer_source.h"
#include "lathe/eval/measure/metrics.h"
#include "lathe/eval/run/item_file.h"

namespace lathe {

// A task with the items that are asked of it.
struct AskedTask {
  EvalTask task;
  std::vector<EvalItem> items;
  std::string prompt_sha256;  // of prompt, NUL, continuation and line end of each request

  const std::string& name() const { return task.config().name; }
};
// Renders the first `limit` items, so that a row that cannot be asked is known before anything is computed. `done` is
// called with the number of items, and may throw. Errors: those of EvalTask::item().
AskedTask ask_of(EvalTask task, std::optional<int64_t> limit,
                 const std::function<void(int64_t done)>& done = {});

struct EvalSources {
  AnswerSource& answers;
  AnswerSource* judge = nullptr;  // of tasks whose scorer asks one
};

struct EvalProgress {
  const AskedTask& task;
  double done = 0;  // of all tasks; items that are answered and not judged count half
  int64_t all = 0;
};

// Asks for the items that `file` does not have, and judges and writes each answer as it comes. Where a judge is asked,
// answers are written as they come, and again with its verdict, once all of the task's are there. Returns of how many
// items something was computed, not known to a cache. `on_progress` is called often, and may throw, which ends the run;
// what was written stays. Errors: those of the sources and scorers; kData for a log-likelihood that is no number.
int64_t answer_all(const std::vector<AskedTask>& tasks, const EvalSources& sources, ItemFile& file,
                   const std::function<void(const EvalProgress&)>& on_progress);

// The same of one task that asks no judge, in memory alone: its items in their order.
std::vector<EvalRecord> answers_of(const AskedTask& asked, AnswerSource& source,
                                   const std::function<void()>& before_each);

// How often a guess at one of these items is right; nullopt where it is not known of one of them.
std::optional<double> mean_chance(std::span<const EvalRecord> records);

// {"tasks": {T: {"n", "metrics": {M: {"value", "stderr", "ci95"}}, "questions" where the task names
// them, "chance" where it is known, "truncated" items,
// "by_difficulty": [{"difficulty" as items have it, "n", "metrics", "chance"}] where items have one}}}.
nlohmann::ordered_json results_of(const std::vector<AskedTask>& tasks, const ItemFile& file);

// {"items" that were found, "too_short", "ngram", "clean": {"n", "metrics"} of all others}.
class Contamination;  // contamination.h
nlohmann::ordered_json contamination_result(const AskedTask& asked, const ItemFile& file,
                                            const Contamination& contamination, size_t task);

// Of a suite: the mean over its tasks of (value − chance) / (1 − chance) of each one's first share of right answers, 0 for
// guessing and 1 for all right; null where a task has no share, or only one item.
nlohmann::ordered_json suite_result(const nlohmann::ordered_json& results,
                                    std::span<const std::string> tasks);

}  // namespace lathe
