// The section [reward]: what the answers of a policy are worth, by functions (reward_functions.h) and by
// a program.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/io/child_process.h"
#include "lathe/text/split/regex.h"
#include "lathe/train/reward/reward_config.h"
#include "lathe/train/reward/reward_functions.h"

namespace lathe {

struct RewardPart {
  std::string name;
  double value = 0;
};
struct RewardResult {
  double reward = 0;              // Σ weight · part
  std::vector<RewardPart> parts;  // by function; "command" of the program
  bool failed = false;            // the program gave no number; the reward means nothing
};

// Starts the program at the first answer and again after it has failed. Not thread-safe.
class Rewards {
 public:
  Rewards(RewardConfig config, Log log);

  RewardResult of(RewardInput input);

 private:
  std::optional<double> ask(const RewardInput& input);
  void warn(std::string_view what);

  const RewardConfig config_;
  const Log log_;
  std::optional<Regex> pattern_;
  std::unique_ptr<ChildProcess> program_;
  int64_t warnings_ = 0;
};

}  // namespace lathe
