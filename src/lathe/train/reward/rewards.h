// The section [reward]: what the answers of a policy are worth, by functions (reward_functions.h), by
// reward models and by a program.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/io/child_process.h"
#include "lathe/text/split/regex.h"
#include "lathe/train/reward/reward_config.h"
#include "lathe/train/reward/reward_functions.h"
#include "lathe/train/reward/reward_model.h"

namespace lathe {

struct RewardPart {
  std::string name;
  double value = 0, weight = 1;
};
struct RewardResult {
  double reward = 0;              // Σ weight · part
  std::vector<RewardPart> parts;  // as RewardConfig::parts(); without that of a program that failed
  bool failed = false;            // the program gave no number; the reward means nothing
};

// Starts the program at the first answer and again after it has failed. Not thread-safe.
class Rewards {
 public:
  // Loads the reward models. Errors: those of RewardModel.
  Rewards(RewardConfig config, Log log, const RewardModelSetting& setting = {});

  // Of each answer, in order. `before_each` is called before each pass of a model and each question to the
  // program, and may throw.
  std::vector<RewardResult> of(std::span<const RewardInput> inputs,
                               const std::function<void()>& before_each = {});

 private:
  std::optional<double> ask(const RewardInput& input);
  void warn(std::string_view what);

  const RewardConfig config_;
  const Log log_;
  std::optional<Regex> pattern_;
  std::vector<std::unique_ptr<RewardModel>> models_;
  std::unique_ptr<ChildProcess> program_;
  int64_t warnings_ = 0;
};

}  // namespace lathe
