// The files of a training run, read for a report: metrics.jsonl, recipe.json, and demo.json if
// there is one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lathe/train/rollout_watch.h"

namespace lathe {

// NaN means that the line has no such number, or NaN itself; both are drawn as a gap.
struct StepPoint {
  double step, loss, lr, grad_norm, tokens_per_s, tokens, step_ms, mfu;
  double flops;   // of training up to here
  double reward;  // of reinforcement: the mean of the step's answers
};

struct ValidationPoint {
  double step, loss, bits_per_byte;
  double reward;  // of answers to held-out prompts; then the loss is minus that
};

// The loss on a set of data.replay_valid after so many steps.
struct OldLoss {
  double step, loss;
};

// A metric of a task of [eval]; error and chance are NaN where there is none.
struct TaskScore {
  double step, value, error, chance;
};

struct SampleText {
  int64_t step = 0;
  std::string text;
};

struct RunData {
  std::filesystem::path folder;
  std::vector<StepPoint> steps;
  std::vector<ValidationPoint> validations;
  std::vector<SampleText> samples;
  std::map<std::string, std::vector<OldLoss>> old_losses;  // by the set's name, in order of steps
  std::map<std::string, std::vector<TaskScore>> task_scores;  // by "TASK.METRIC", in order of steps
  std::vector<RolloutFlag> flags;    // of its reinforcement, at the last step
  nlohmann::ordered_json recipe;     // null when the run has none
  nlohmann::ordered_json data_card;  // of the rows that it learns from; null when it has none
  nlohmann::ordered_json demo;       // null when `lathe demo` did not make this run
};

// Errors: kIo when there is no metrics.jsonl, kData when it holds no step; kFormat naming the line
// for text that is not a JSON object (a last line that a kill cut short is ignored).
RunData read_run(const std::filesystem::path& folder);

// Where the run in `folder` writes what it made: its model, or the adapter that it trains. Exists once the
// run has ended.
std::filesystem::path result_of_run(const std::filesystem::path& folder);

}  // namespace lathe
