// data.valid of a run that learns from its own answers: prompts that it never learns from, answered and judged
// at each validation. val_loss is minus the mean reward of the first set, so that lower is better, as of any
// loss; every answer stands in valid_rollouts.jsonl, as those that are learnt from stand in rollouts.jsonl.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "lathe/train/step_lines.h"
#include "lathe/train/task/rollout_source.h"
#include "lathe/train/validation.h"

namespace lathe {

inline constexpr const char* kHeldOutRolloutsFile = "valid_rollouts.jsonl";

// Not thread-safe.
class HeldOutPrompts {
 public:
  // Reads the prompts. Errors: those of RolloutSource::read().
  HeldOutPrompts(const Recipe& recipe, const RolloutSource& source,
                 const TrainCallbacks& callbacks);

  bool empty() const { return sets_.empty(); }
  // Where answers are written, and the last step whose results are kept.
  void begin(const std::filesystem::path& out, int64_t last_step);
  // The first validation_samples() prompts of each set. What they are drawn with is the same at every step.
  // Error kData if the verifier judged none of them.
  TaskEvaluation evaluate(int64_t step, RolloutSource& source, Policy& policy,
                          const StopCheck& stop_if_asked);

 private:
  struct Set {
    std::string name;
    std::shared_ptr<const ExampleSet> prompts;
  };
  struct Answers {
    const Set* set;
    std::vector<Rollout> rollouts;
  };
  void write(int64_t step, const std::vector<Answers>& all);

  const Recipe recipe_;
  std::vector<Set> sets_;
  std::filesystem::path path_;
  std::optional<StepLines> file_;
  int64_t last_step_ = 0;  // before this process
};

}  // namespace lathe
