// A preset trained on random tokens, which `lathe bench train`, `step` and `checkpoint` measure.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "lathe/base/catalogue.h"
#include "lathe/cli/frame/command.h"
#include "lathe/model/presets.h"
#include "lathe/train/train_loop.h"

namespace lathe {

// A shard of uniformly random tokens in the system's temporary folder, removed at the end.
class RandomShard {
 public:
  RandomShard(int64_t tokens, int64_t vocabulary);
  ~RandomShard();
  RandomShard(const RandomShard&) = delete;
  RandomShard& operator=(const RandomShard&) = delete;

  std::string prefix() const { return (folder_ / "tokens").string(); }
  std::string folder() const { return folder_.string(); }

 private:
  std::filesystem::path folder_;
};

Recipe bench_recipe(const Preset& preset, const std::string& precision, const RandomShard& shard);

struct TrainBenchOptions {
  std::string preset = "m26", precision = "bf16", recompute = TrainConfig().recompute;
  int64_t steps = 6;

  void visit(Visitor& v);
};

// The training of a preset, past its first steps.
class PresetRun {
 public:
  explicit PresetRun(const TrainBenchOptions& options);

  void step();
  Transformer& model() { return loop_.model(); }
  double flops() const { return flops_; }  // model FLOPs of the last step
  // Resident memory up to the last step, because measuring the limits later needs some as well.
  double peak_bytes() const { return peak_bytes_; }
  DType dtype() const { return loop_.recipe().compute_dtype(); }
  int64_t tokens() const { return preset_.batch_size * preset_.seq_len; }  // of a step

 private:
  const Preset& preset_;
  RandomShard shard_;
  TrainLoop loop_;
  int64_t steps_ = 0;
  double peak_bytes_ = 0, flops_ = 0;
};

struct StepSpeed {
  nlohmann::ordered_json facts;
  std::string text;  // one line that says the same
};
// The result of a run whose steps took `seconds` each, compared with the measured `matrix_rate`.
StepSpeed step_speed(const TrainBenchOptions& options, PresetRun& run, double seconds,
                     double matrix_rate);

// `lathe bench train`.
int run_train_bench(const TrainBenchOptions& options, CommandContext& context);

}  // namespace lathe
