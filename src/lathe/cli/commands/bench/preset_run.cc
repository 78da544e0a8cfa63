#include "lathe/cli/commands/bench/preset_run.h"

#include <unistd.h>

#include "lathe/base/process.h"
#include "lathe/cli/commands/bench/bench.h"
#include "lathe/kernels/machine.h"

namespace lathe {

void TrainBenchOptions::visit(Visitor& v) {
  v.choice("preset", preset, names_of(presets()), "model and batch shape");
  v.choice("precision", precision, precision_names(), "arithmetic");
  v.choice("recompute", recompute, {"none", "selective", "full"}, "same as train.recompute");
  v.field("steps", steps, "steps to time, after three warm-up steps", at_least(1));
}

namespace {

namespace fs = std::filesystem;

constexpr int64_t kWarmUp = 3;

Recipe recipe_of(const TrainBenchOptions& o, const Preset& preset, const RandomShard& shard) {
  Recipe recipe = bench_recipe(preset, o.precision, shard);
  recipe.train.recompute = o.recompute;
  return recipe;
}

}  // namespace

RandomShard::RandomShard(int64_t tokens, int64_t vocabulary)
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

RandomShard::~RandomShard() {
  std::error_code ignored;  // a leftover in the temporary folder is not worth failing for
  fs::remove_all(folder_, ignored);
}

Recipe bench_recipe(const Preset& preset, const std::string& precision, const RandomShard& shard) {
  Recipe r;
  r.model = preset.config();
  r.data.train = {shard.prefix()};
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

PresetRun::PresetRun(const TrainBenchOptions& o)
    : preset_(find_preset(o.preset)),
      shard_(tokens() * 2 + 1, preset_.config().vocab_size),
      loop_(recipe_of(o, preset_, shard_)) {
  while (steps_ < kWarmUp) step();
}

void PresetRun::step() {
  flops_ = loop_.step(++steps_).flops;
  peak_bytes_ = static_cast<double>(peak_resident_bytes());
}

StepSpeed step_speed(const TrainBenchOptions& o, PresetRun& run, double seconds,
                     double matrix_rate) {
  const double memory = run.peak_bytes() / (1 << 20);
  const double rate = run.flops() / seconds;
  const double tokens_per_s = static_cast<double>(run.tokens()) / seconds;
  return {.facts = {{"preset", o.preset},
                    {"precision", o.precision},
                    {"step_ms", seconds * 1e3},
                    {"tokens_per_s", tokens_per_s},
                    {"model_gflops", rate * 1e-9},
                    {"share_of_matrix_rate", rate / matrix_rate},
                    {"peak_rss_mib", memory},
                    {"params", run.model().parameter_count()}},
          .text = fmt::format(
              "{} {}: {:.1f} ms a step, {:.0f} tokens/s, {:.0f} GFLOP/s of {:.0f} ({:.0f} %), peak "
              "{:.0f} MiB\n",
              o.preset, o.precision, seconds * 1e3, tokens_per_s, rate * 1e-9, matrix_rate * 1e-9,
              100 * rate / matrix_rate, memory)};
}

int run_train_bench(const TrainBenchOptions& o, CommandContext& context) {
  PresetRun run(o);
  const auto times = sorted_seconds(o.steps, [&] { run.step(); });
  const double limit = kernels::measure_matrix_rate(run.dtype());
  StepSpeed speed = step_speed(o, run, times[times.size() / 2], limit);
  print_measured(context, std::move(speed.facts), speed.text);
  return 0;
}

}  // namespace lathe
