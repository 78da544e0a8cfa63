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

struct EvalProgress {
  const AskedTask& task;
  int64_t done = 0, all = 0;  // items of all tasks
};

// Asks for the items that `file` does not have, and judges and writes each answer as it comes. Returns how many. `on_progress`
// is called often, and may throw, which ends the run; what was written stays. Errors: those of the source and scorers;
// kData for a log-likelihood that is no number.
int64_t answer_all(const std::vector<AskedTask>& tasks, AnswerSource& source, ItemFile& file,
                   const std::function<void(const EvalProgress&)>& on_progress);

// The same of one task, in memory alone: its items in their order.
std::vector<EvalRecord> answers_of(const AskedTask& asked, AnswerSource& source,
                                   const std::function<void()>& before_each);

// {"tasks": {T: {"n", "metrics": {M: {"value", "stderr", "ci95"}}, "chance" where it is known, "truncated" items,
// "by_difficulty": [{"difficulty" as items have it, "n", "metrics", "chance"}] where they have one}}}.
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
