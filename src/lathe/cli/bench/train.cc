#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lathe/base/process.h"
#include "lathe/cli/bench/bench.h"
#include "lathe/kernels/machine.h"
#include "lathe/model/presets.h"
#include "lathe/train/trainer.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// A shard of uniformly random tokens in the system's temporary folder, removed at the end.
class RandomShard {
 public:
  RandomShard(int64_t tokens, int64_t vocabulary)
      : folder_(fs::temp_directory_path() / fmt::format("lathe-bench-{}", ::getpid())) {
    fs::create_directories(folder_);
    TokenShardWriter writer(prefix(), vocabulary);
    std::vector<int32_t> ids(static_cast<size_t>(tokens));
    const Rng rng = Rng(0).fork("bench");
    for (size_t i = 0; i < ids.size(); ++i)
      ids[i] = static_cast<int32_t>(rng.below(i, static_cast<uint64_t>(vocabulary)));
    writer.add_document(ids);
    writer.finish();
  }
  ~RandomShard() {
    std::error_code ignored;  // a leftover in the temporary folder is not worth failing for
    fs::remove_all(folder_, ignored);
  }
  RandomShard(const RandomShard&) = delete;
  RandomShard& operator=(const RandomShard&) = delete;

  std::string prefix() const { return (folder_ / "tokens").string(); }
  std::string folder() const { return folder_.string(); }

 private:
  fs::path folder_;
};

Recipe bench_recipe(const Preset& preset, const std::string& precision, const RandomShard& shard) {
  Recipe r;
  r.model = preset.config();
  r.data.train = shard.prefix();
  r.data.order = "sequential";
  r.train.batch_size = preset.batch_size;
  r.train.seq_len = preset.seq_len;
  r.train.precision = precision;
  r.train.steps = 1000000;
  r.train.out = shard.folder();
  r.optim.lr = 3e-4;
  r.schedule.name = "constant";
  return r;
}

constexpr int64_t kWarmUp = 3;

struct TrainBenchOptions {
  std::string preset = "m26", precision = "bf16", recompute = "none";
  int64_t steps = 6;

  template <class V>
  void visit(V& v) {
    std::vector<std::string_view> names;
    for (const Preset& p : presets()) names.push_back(p.name);
    v.choice("preset", preset, names, "model and batch shape");
    v.choice("precision", precision, {"bf16", "fp32"}, "arithmetic");
    v.choice("recompute", recompute, {"none", "selective", "full"}, "as train.recompute");
    v.field("steps", steps, "steps that are timed, after three to warm up", at_least(1));
  }
};

int run_train_bench(const TrainBenchOptions& o, CommandContext& context) {
  const Preset& preset = find_preset(o.preset);
  const int64_t tokens = preset.batch_size * preset.seq_len;
  const RandomShard shard(tokens * 2 + 1, preset.config().vocab_size);
  Recipe recipe = bench_recipe(preset, o.precision, shard);
  recipe.train.recompute = o.recompute;
  Trainer trainer(recipe, {});
  int64_t step = 0;
  for (; step < kWarmUp; ++step) trainer.step(step + 1);
  const auto times = sorted_seconds(o.steps, [&] { trainer.step(++step); });
  const double median = times[times.size() / 2];
  const double memory = static_cast<double>(peak_resident_bytes()) / (1 << 20);
  const double rate = trainer.flops_per_step() / median;
  const double limit = kernels::measure_matrix_rate(recipe.compute_dtype());
  const int64_t params = trainer.model().parameter_count();
  print_measured(
      context,
      {{"preset", o.preset},
       {"precision", o.precision},
       {"step_ms", median * 1e3},
       {"tokens_per_s", static_cast<double>(tokens) / median},
       {"model_gflops", rate * 1e-9},
       {"share_of_matrix_rate", rate / limit},
       {"peak_rss_mib", memory},
       {"params", params}},
      fmt::format("{} {}: {:.1f} ms a step, {:.0f} tokens/s, {:.0f} GFLOP/s of {:.0f} ({:.0f} %), "
                  "peak {:.0f} "
                  "MiB\n",
                  o.preset, o.precision, median * 1e3, static_cast<double>(tokens) / median,
                  rate * 1e-9, limit * 1e-9, 100 * rate / limit, memory));
  return 0;
}

struct CheckpointBenchOptions {
  std::string preset = "gpt2-124m";
  template <class V>
  void visit(V& v) {
    std::vector<std::string_view> names;
    for (const Preset& p : presets()) names.push_back(p.name);
    v.choice("preset", preset, names, "model whose weights and optimiser state are written");
  }
};

int run_checkpoint_bench(const CheckpointBenchOptions& o, CommandContext& context) {
  const Preset& preset = find_preset(o.preset);
  const RandomShard shard(preset.batch_size * preset.seq_len + 1, preset.config().vocab_size);
  Trainer trainer(bench_recipe(preset, "bf16", shard), {});
  const CheckpointStore store(fs::path(shard.folder()) / "checkpoints");
  const auto times =
      sorted_seconds(3, [&] { store.save(1, trainer.checkpoint_content(), Json::object()); });
  // Training waits until the checkpoint is durable, so both figures are the same time.
  const double ms = times[times.size() / 2] * 1e3;
  print_measured(context, {{"preset", o.preset}, {"pause_ms", ms}, {"write_ms", ms}},
                 fmt::format("checkpoint of {}: training pauses {:.0f} ms until it is durable\n",
                             o.preset, ms));
  return 0;
}

}  // namespace

Command bench_train_command() {
  return make_command<TrainBenchOptions>(
      {.name = "train",
       .summary = "a full optimiser step of a preset: time, rate, share of the limit, memory",
       .help = "Forward, backward, clipping and AdamW on random tokens; the median of the timed "
               "steps.\n"},
      run_train_bench);
}

Command bench_checkpoint_command() {
  return make_command<CheckpointBenchOptions>(
      {.name = "checkpoint", .summary = "how long training pauses for a checkpoint", .help = ""},
      run_checkpoint_bench);
}

}  // namespace lathe
