// The section [reward]: what the answers of a policy are worth, by functions (reward_functions.h), by
// reward models and by a program.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/io/sandbox/python.h"
#include "lathe/text/split/regex.h"
#include "lathe/train/answering_program.h"
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
  std::vector<RewardPart> parts;  // as RewardConfig::parts(); without what gave no number
  bool failed = false;  // the command or the sandbox gave no number; the reward means nothing
  std::optional<PythonVerdict::End> tests = {};  // how the program of unit_tests ended
};

// Not thread-safe.
class Rewards {
 public:
  // Loads the reward models. Errors: those of RewardModel.
  Rewards(RewardConfig config, Log log, const RewardModelSetting& setting = {},
          const SandboxConfig& sandbox = {});

  // Error kConfig if a function runs programs and cannot here (PythonSandbox::prepare()).
  void check();

  // Of each answer, in order. `before_each` is called before each pass of a model and each question to the
  // program, and while programs of answers run, and may throw.
  std::vector<RewardResult> of(std::span<const RewardInput> inputs,
                               const std::function<void()>& before_each = {});

 private:
  using Column = std::vector<std::optional<double>>;  // of one part, for each answer
  Column of_function(const RewardFunction& function, std::span<const RewardInput> inputs,
                     const std::function<void()>& before_each, std::vector<RewardResult>& results);
  std::vector<Column> columns(std::span<const RewardInput> inputs,
                              const std::function<void()>& before_each,
                              std::vector<RewardResult>& results);
  std::optional<double> ask(const RewardInput& input);
  void warn(std::string_view what);

  const RewardConfig config_;
  const Log log_;
  std::optional<Regex> pattern_;
  std::vector<std::unique_ptr<RewardModel>> models_;
  AnsweringProgram program_;
  PythonSandbox python_;
  int64_t warnings_ = 0;
};

}  // namespace lathe
