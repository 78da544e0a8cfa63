#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/cli/commands/bench/bench.h"
#include "lathe/cli/commands/bench/preset_run.h"

namespace lathe {
namespace {

struct CheckpointBenchOptions {
  std::string preset = "gpt2-124m";
  void visit(Visitor& v) {
    v.choice("preset", preset, names_of(presets()),
             "model whose weights and optimiser state are saved");
  }
};

int run_checkpoint_bench(const CheckpointBenchOptions& o, CommandContext& context) {
  const Preset& preset = find_preset(o.preset);
  const RandomShard shard(preset.batch_size * preset.seq_len + 1, preset.config().vocab_size);
  TrainLoop loop(bench_recipe(preset, "bf16", shard));
  loop.step(1);  // the first one allocates
  const double before = loop.step(2).seconds;
  const double call = sorted_seconds(1, [&] { loop.save_checkpoint(2); })[0];
  const StepReport beside = loop.step(3);
  const double write_ms = loop.finish_checkpoint() * 1e3;
  const double alone = (before + loop.step(4).seconds) / 2;
  // Training stands still in the call and before the update. The writer also takes processor time
  // and memory traffic from the forward and backward, which shows in the step as a whole.
  const double pause_ms = (call + beside.waited) * 1e3;
  const double slowdown_ms = (call + beside.seconds - alone) * 1e3;
  print_measured(context,
                 {{"preset", o.preset},
                  {"pause_ms", pause_ms},
                  {"write_ms", write_ms},
                  {"slowdown_ms", slowdown_ms},
                  {"step_ms", alone * 1e3}},
                 fmt::format("checkpoint of {}: training pauses {:.1f} ms, durable after {:.0f} "
                             "ms; the concurrent step takes {:+.0f} ms on {:.0f} ms\n",
                             o.preset, pause_ms, write_ms, slowdown_ms, alone * 1e3));
  return 0;
}

}  // namespace

Command bench_train_command() {
  return make_command<TrainBenchOptions>(
      {.name = "train",
       .summary = "a full optimiser step of a preset: time, rate, share of the limit, memory",
       .help = "Runs forward, backward, clipping and AdamW on random tokens and reports the median "
               "of the timed steps.\n"},
      run_train_bench);
}

Command bench_checkpoint_command() {
  return make_command<CheckpointBenchOptions>(
      {.name = "checkpoint",
       .summary = "how long training pauses for a checkpoint",
       .help =
           "Runs four steps on random tokens and writes the checkpoint of the second step during "
           "the third.\n"
           "pause: the time of the call, and the time that the update waits for the writer.\n"
           "slowdown: the time of that step and the call, minus the mean of the steps around it.\n"
           "write: the time until the checkpoint is durable.\n"},
      run_checkpoint_bench);
}

}  // namespace lathe
