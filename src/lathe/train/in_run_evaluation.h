// Tasks (eval/task/) that a run measures on its own weights while it trains, by section [eval].
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/eval/run/eval_run.h"
#include "lathe/model/adapter/lora_adapter.h"
#include "lathe/model/transformer.h"
#include "lathe/text/tokenizer.h"
#include "lathe/train/in_run_evaluation_config.h"
#include "lathe/train/train_callbacks.h"

namespace lathe {

// A measurement that is due is left out until all so far and this one are at most `share` of the time of the run in this
// process; the last step is always measured. What the first one costs is estimated from its tokens, later ones cost what
// the last one did. What is trained does not depend on it. Used by one thread.
class InRunEvaluation {
 public:
  // Reads and renders the tasks. Errors: those of read_task_config(), best_tasks() and EvalTask; kConfig without a
  // tokenizer, and for tasks that run programs.
  InRunEvaluation(const InRunEvalConfig& config, const std::optional<std::string>& tokenizer,
                  Log log);

  // Whether another one fits into the share now; says so once if not. `seconds_per_token` is that of training.
  bool affordable(double seconds_per_token);
  // Of the first `limit` items of each task: "eval.TASK.METRIC", "eval.TASK.METRIC_stderr" and, of a share of right
  // answers where it is known, "eval.TASK.METRIC_chance". `before_each` is called
  // before each pass, and may throw. `adapter` acts on the model, if given.
  NamedNumbers measure(const Transformer& model, std::shared_ptr<const LoraAdapter> adapter,
                       const std::function<void()>& before_each);

 private:
  void keep_best(std::vector<TaskConfig>& tasks) const;  // says which, and why
  void add(TaskConfig config);

  InRunEvalConfig config_;
  Log log_;
  std::string tokenizer_path_;
  Tokenizer tokenizer_;
  std::vector<AskedTask> tasks_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  int64_t tokens_ = 0;          // of prompts and answers
  double spent_ = 0;            // seconds
  std::optional<double> last_;  // what the last one took
  bool said_ = false;
};

}  // namespace lathe
