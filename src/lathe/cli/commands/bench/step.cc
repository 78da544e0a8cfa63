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
    v.field("explain", explain, "break the step's time down by kernel");
    v.field("top", top, "rows to print; --json prints all", at_least(1));
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
       .summary =
           "same as train; --explain shows where the step's time goes, and the limit of each part",
       .help = "Each row is one kind of kernel call: the number of calls, FLOPs and bytes (each "
               "operand read once, each\n"
               "output written once), its time, and its limit: the time of the FLOPs at the "
               "measured matrix rate or of\n"
               "the bytes at the measured read bandwidth, whichever is longer. Time outside "
               "kernels (tape, allocation,\n"
               "data loading, bookkeeping) is a row too, so that the rows add up to the step.\n\n"
               "  lathe bench step --explain\n"
               "  lathe bench step --preset m26 --precision fp32 --recompute full --explain --top "
               "40\n"},
      run_step_bench);
}

}  // namespace lathe
