// The interface between a run and its surroundings: what it reports, what it asks, and what it is
// told once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lathe/base/log.h"

namespace lathe {

class Transformer;
struct ExampleOptions;
struct ExampleSet;

// Rows of prompts and answers (train/example/example_file.h).
using ReadExamples = std::function<std::shared_ptr<const ExampleSet>(
    const std::vector<std::string>& files, const ExampleOptions& options, const Log& log)>;

// What a step or an evaluation measured in addition to its loss, in the order in which it is shown.
using NamedNumbers = std::vector<std::pair<std::string, double>>;
std::optional<double> find_number(const NamedNumbers& numbers, std::string_view name);

struct StepReport {
  int64_t step = 0, steps = 0, tokens = 0;  // tokens of this step
  int64_t tokens_so_far = 0;
  double loss = 0, lr = 0, grad_norm = 0, seconds = 0;
  double waited = 0;  // of `seconds`: for the checkpoint being written, before the update
  double flops = 0, flops_so_far = 0;  // model FLOPs
  bool skipped = false;
  NamedNumbers numbers = {};  // TaskStep::numbers
};

struct EvalReport {
  int64_t step = 0;
  double loss = 0;
  NamedNumbers numbers = {};  // TaskEvaluation::numbers
};

// Every member may be empty.
struct TrainCallbacks {
  Log log;
  // By default read_examples(): to show how far it is, to read once for several tasks, to try rows
  // that are in no file.
  ReadExamples read_examples;
  // Everything has been read and checked, and the first step begins; before this, a run has nothing
  // to save.
  std::function<void()> on_start;
  std::function<void(const StepReport&)> on_step;
  std::function<void(const EvalReport&)> on_eval;
  std::function<void(int64_t step, const std::string& text)> on_sample;
  // What the tasks of [eval] say: InRunEvaluation::measure().
  std::function<void(int64_t step, const NamedNumbers& numbers)> on_tasks;
  // A text that the model generates now, with the weights that validation uses.
  std::function<std::string(Transformer& model)> sample;
  // Called before every operation of a step and every batch of a validation; true saves the last
  // step whose update was finished and ends the run with Error kInterrupted.
  std::function<bool()> should_stop;
  // CheckpointOptions::on_part.
  std::function<void(std::string_view part)> on_checkpoint_part;
};

// Facts that a run cannot find out by itself.
struct TrainFacts {
  std::string command = {};  // for manifests
  double matrix_flops = 0;   // measured rate of this machine, FLOP/s, for MFU; 0: not known
  // The number of bytes of each token id, for bits per byte; empty without a tokenizer.
  std::vector<int32_t> token_bytes = {};
};

}  // namespace lathe
