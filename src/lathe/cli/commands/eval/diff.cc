// lathe eval diff: eval/run/run_difference.h, shown.

#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/eval/eval.h"
#include "lathe/eval/run/run_difference.h"

namespace lathe {
namespace {

struct DiffOptions {
  std::string a, b, metric;

  void visit(Visitor& v) {
    v.positional("a", a, "folder of an evaluation");
    v.positional("b", b, "folder of another one, of the same tasks");
    v.field("metric", metric, "what is compared (default: each task's first metric)");
  }
};

// "3, 17, 20 and 5 more".
std::string ids_of(const std::vector<int64_t>& all) {
  std::vector<std::string> ids;
  for (const int64_t id : all) ids.push_back(fmt::format("{}", id));
  return join_some(ids);
}

void print(const TaskDifference& d, std::ostream& out) {
  out << fmt::format("{}, {}: {:+.4f}", d.task, d.metric, d.difference.value);
  if (d.difference.error)
    out << fmt::format(" ± {:.4f} (95 % interval {:+.4f} to {:+.4f})", *d.difference.error,
                       d.difference.ci95->first, d.difference.ci95->second);
  out << fmt::format(" over {} items; p {:.4g}", d.n, d.p);
  if (d.p_holm != d.p) out << fmt::format(", {:.4g} for all tasks together (Holm)", d.p_holm);
  out << fmt::format("\n  {} changed", counted(std::ssize(d.changed), "item"));
  if (!d.changed.empty()) out << ": " << ids_of(d.changed);
  out << (d.items_for_one_point > 0
              ? fmt::format("\n  a difference of one point needs about {:.0f} items\n",
                            d.items_for_one_point)
              : "\n  no pair differs, so nothing says how many items a difference of one point needs\n");
  out << "  what differs: " << (d.why.empty() ? "nothing that is recorded" : join(d.why, ", "))
      << "\n";
}

int run_diff(const DiffOptions& o, CommandContext& context) {
  const std::vector<TaskDifference> all = compare_runs(o.a, o.b, o.metric);
  if (context.json) {
    context.print_json(json_of(all));
    return 0;
  }
  for (const TaskDifference& each : all) print(each, context.out);
  return 0;
}

}  // namespace

Command eval_diff_command() {
  return make_command<DiffOptions>(
      {.name = "diff",
       .summary = "compare two evaluations item by item",
       .help =
           "Says which items changed between two folders that `lathe eval --tasks` wrote, the mean of "
           "the paired\ndifferences B − A with its standard error, whether chance explains it (the "
           "exact test of McNemar for right and\nwrong, else Student's paired test; with several tasks "
           "also adjusted by Holm), how many items would show a\ndifference of one point with a power "
           "of 80 %, and which fields of the two receipts differ.\n\n"
           "  lathe eval diff before after\n"
           "  lathe eval diff before after --metric acc_norm\n"},
      run_diff);
}

}  // namespace lathe
