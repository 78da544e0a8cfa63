#include "lathe/cli/commands/bench/bench.h"
#include "lathe/cli/commands/bench/preset_run.h"
#include "lathe/cli/commands/bench/step_account.h"

namespace lathe {
namespace {

struct StepBenchOptions {
  TrainBenchOptions train;
  bool explain = false;
  int64_t top = 20;

  void visit(Visitor& v) {
    train.visit(v);
    v.field("explain", explain, "account for the step kernel by kernel");
    v.field("top", top, "rows of the account that are printed; JSON has all", at_least(1));
  }
};

int run_step_bench(const StepBenchOptions& o, CommandContext& context) {
  if (!o.explain) return run_train_bench(o.train, context);
  PresetRun run(o.train);
  const StepAccount account = account_steps(o.train.steps, [&] { run.step(); });
  const double rate = account.limits.matrix_rate.at(run.dtype());
  StepSpeed speed = step_speed(o.train, run, account.seconds, rate);
  speed.facts.update(step_facts(account));
  print_measured(context, std::move(speed.facts), speed.text + step_table(account, o.top));
  return 0;
}

}  // namespace

Command bench_step_command() {
  return make_command<StepBenchOptions>(
      {.name = "step",
       .summary = "as train; with --explain where the step's time goes, and each part's limit",
       .help =
           "A row is a kind of kernel call: its calls, FLOPs and bytes (each operand read once, "
           "each output\nwritten once), its time, and the time of its limit: FLOPs at the "
           "measured matrix rate or bytes at the\nmeasured read bandwidth, whichever is more. "
           "What is in no kernel (tape, allocation, data loading,\nbookkeeping) is a row too, so "
           "that the rows add up to the step.\n\n"
           "  lathe bench step --explain\n"
           "  lathe bench step --preset m26 --precision fp32 --recompute full --explain --top 40\n"},
      run_step_bench);
}

}  // namespace lathe
