#include <filesystem>
#include <nlohmann/json.hpp>

#include "lathe/cli/bench/bench.h"
#include "lathe/cli/bench/preset_run.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

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
