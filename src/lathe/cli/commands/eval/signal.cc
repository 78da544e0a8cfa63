// lathe eval signal: lab/task_signal.h, shown.

#include <nlohmann/json.hpp>

#include "lathe/cli/commands/eval/eval.h"
#include "lathe/io/json_file.h"
#include "lathe/io/manifest.h"
#include "lathe/lab/task_signal.h"

namespace lathe {
namespace {

struct SignalOptions {
  std::vector<std::string> runs;
  int64_t last = 5;
  std::optional<std::string> out;

  void visit(Visitor& v) {
    v.positional("runs", runs, "folders of training runs with tasks in [eval]");
    v.field("last", last, "measurements at the end of each run", at_least(2));
    v.field("out", out, "also write this file, for `signal` in [eval] of a recipe");
  }
};

nlohmann::ordered_json json_of(const std::vector<TaskSignal>& all) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const TaskSignal& each : all)
    list.push_back({{"name", each.name},
                    {"runs", each.runs},
                    {"points", each.points},
                    {"mean", each.mean},
                    {"signal", each.signal},
                    {"noise", each.noise},
                    {"ratio", each.ratio()}});
  return {{"metrics", list}};
}

void write_signals(const SignalOptions& o, const nlohmann::ordered_json& signals,
                   const std::string& command) {
  write_json_file(*o.out, signals);
  Manifest manifest = new_manifest("task signal", command);
  for (const std::string& run : o.runs)
    add_input(manifest, std::filesystem::path(run) / "metrics.jsonl", "metrics");
  add_output(manifest, *o.out, "signal");
  write_manifest(manifest_path(*o.out, false), manifest);
}

int run_signal(const SignalOptions& o, CommandContext& context) {
  const std::vector<TaskSignal> all = task_signals({o.runs.begin(), o.runs.end()}, o.last);
  if (o.out) write_signals(o, json_of(all), context.command_line());
  if (context.json) {
    context.print_json(json_of(all));
    return 0;
  }
  context.out << fmt::format("{:<40} {:>5} {:>9} {:>8} {:>8} {:>7}\n", "task.metric", "runs",
                             "mean", "signal", "noise", "ratio");
  for (const TaskSignal& each : all)
    context.out << fmt::format("{:<40} {:>5} {:>9.4f} {:>8.4f} {:>8.4f} {:>7}\n", each.name,
                               each.runs, each.mean, each.signal, each.noise,
                               each.noise > 0 ? fmt::format("{:.1f}", each.ratio()) : "–");
  return 0;
}

}  // namespace

Command eval_signal_command() {
  return make_command<SignalOptions>(
      {.name = "signal",
       .summary = "which tasks tell models apart",
       .help =
           "For each metric that runs measured while they trained ([eval] of a recipe): the signal, which is "
           "the largest\ndifference between the runs' last scores over their mean; the noise, which is the "
           "deviation of a run's last\nmeasurements over their mean; and their ratio (Heineman et al. 2025, "
           "arXiv:2508.13144). A small model is judged\nby what has a large ratio; a ratio near 1 is noise.\n\n"
           "  lathe eval signal runs/small runs/large\n"
           "  lathe eval signal runs/small runs/large --out signal.json\n"},
      run_signal);
}

}  // namespace lathe
