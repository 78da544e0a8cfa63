#include "lathe/train/task/held_out_prompts.h"

#include <nlohmann/json.hpp>

#include "lathe/train/task/rollout_report.h"

namespace lathe {

HeldOutPrompts::HeldOutPrompts(const Recipe& recipe, const RolloutSource& source,
                               const TrainCallbacks& callbacks)
    : recipe_(recipe) {
  for (const std::string& text : recipe_.data.valid) {
    const NamedShard file = parse_named_shard(text);
    sets_.push_back({file.name, source.read({file.prefix}, callbacks)});
  }
}

void HeldOutPrompts::begin(const std::filesystem::path& out, int64_t last_step) {
  if (empty()) return;
  path_ = out / kHeldOutRolloutsFile;
  last_step_ = last_step;
  file_.emplace(path_, last_step);
}

TaskEvaluation HeldOutPrompts::evaluate(int64_t step, RolloutSource& source, Policy& policy,
                                        const StopCheck& stop_if_asked) {
  const Rng stream = Rng(static_cast<uint64_t>(recipe_.train.seed)).fork("held-out");
  const auto asked = static_cast<size_t>(recipe_.validation_samples());
  std::vector<Answers> all;
  TaskEvaluation result;
  for (const Set& set : sets_) {
    std::vector<const Example*> prompts;
    for (const Example& each : set.prompts->examples)
      if (asked == 0 || prompts.size() < asked) prompts.push_back(&each);
    all.push_back({&set, source.held_out(prompts, stream.fork(set.name), policy, stop_if_asked)});
    const NamedNumbers numbers = answer_numbers(all.back().rollouts, recipe_.reward.parts());
    const double reward = *find_number(numbers, "reward");
    if (all.size() == 1) {
      result.loss = -reward;
      result.numbers = numbers;
    }
    if (sets_.size() > 1) result.numbers.emplace_back("reward." + set.name, reward);
  }
  if (file_) write(step, all);
  return result;
}

// A validation that a kill cut short is written again, without what it had written.
void HeldOutPrompts::write(int64_t step, const std::vector<Answers>& all) {
  if (step <= last_step_) file_.emplace(path_, step - 1);
  for (const Answers& answers : all)
    for (const Rollout& each : answers.rollouts) {
      nlohmann::ordered_json line = rollout_line(each, step);
      for (const char* key : {"advantage", "old_logps", "filtered"}) line.erase(key);
      if (all.size() > 1) line["set"] = answers.set->name;
      file_->write(line);
    }
}

}  // namespace lathe
