// rollouts.jsonl of a reinforcement run, read back: its steps, and answers chosen among them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

namespace lathe {

struct RolloutStep {
  int64_t step = 0, rollouts = 0, groups = 0;
  int64_t filtered = 0, failed = 0;             // answers that were not learnt from
  double reward = 0, reward_std = 0, best = 0;  // of the judged ones; deviation over n
  double length = 0;                            // mean, in tokens
  std::map<std::string, double> parts = {};     // means of the reward's parts, before weights
};

// rollouts.jsonl has what a run learnt from, valid_rollouts.jsonl its answers to the prompts of data.valid.
enum class RolloutKind { kLearnt, kHeldOut };

// Each line of the file in its order. Errors: kIo if the run has no such file; kFormat, naming the line, for a
// damaged one (a last line that a kill cut short is ignored).
void for_each_rollout(const std::filesystem::path& run, RolloutKind kind,
                      const std::function<void(nlohmann::ordered_json& line)>& f);
// Whether the answer has a reward.
bool is_judged(const nlohmann::ordered_json& line);

// In the order of the file. Errors: as above.
std::vector<RolloutStep> rollout_steps(const std::filesystem::path& run, RolloutKind kind);

struct RolloutQuery {
  RolloutKind kind = RolloutKind::kLearnt;
  std::optional<int64_t> step = {}, group = {};
  // How many of the highest or lowest reward, best or worst first; the earlier of equal ones. Answers without a
  // reward are then left out. Neither: all, in the order of the file.
  std::optional<int64_t> best = {}, worst = {};
};
// The lines. Errors: as above; kUsage, saying which steps there are, if nothing fits.
std::vector<nlohmann::ordered_json> find_rollouts(const std::filesystem::path& run,
                                                  const RolloutQuery& query);

}  // namespace lathe
