// lathe runs: what is there, what is going on, and how good it is.

#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/lab/run_list.h"
#include "lathe/train/metrics.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct RunsOptions {
  std::vector<std::string> folder;

  void visit(Visitor& v) {
    v.positional("folder", folder, "folders to search (default: runs, else the current folder)",
                 Limits());
  }
};

Json number(const std::optional<double>& value) { return value ? spelled_number(*value) : Json(); }

Json json_of(const RunRow& row) {
  Json json = {{"path", row.folder.string()}, {"state", name_of(row.state)}, {"steps", row.steps}};
  json["planned_steps"] = row.planned ? Json(*row.planned) : Json();
  json["loss"] = number(row.loss);
  json["val_loss"] = number(row.val_loss);
  json["age_seconds"] = number(row.age_seconds);
  json["note"] = row.note;
  return json;
}

std::string loss_text(const std::optional<double>& loss) {
  if (!loss) return "-";
  return std::isnan(*loss) ? "NaN" : fmt::format("{:.4f}", *loss);
}

std::vector<std::string> cells_of(const RunRow& row) {
  const std::string planned = row.planned ? fmt::format(" of {}", *row.planned) : "";
  return {row.folder.string(),
          name_of(row.state),
          std::to_string(row.steps) + planned,
          loss_text(row.loss),
          loss_text(row.val_loss),
          row.age_seconds ? human_time(*row.age_seconds) : "-",
          row.note};
}

std::string table_of(const std::vector<RunRow>& runs) {
  std::vector<std::vector<std::string>> rows = {
      {"run", "state", "steps", "loss", "val loss", "age", ""}};
  for (const RunRow& run : runs) rows.push_back(cells_of(run));
  std::vector<size_t> widths(rows[0].size(), 0);
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const bool is_number = i >= 2 && i <= 5, is_last = i + 1 == row.size();
      line += is_last ? row[i]
                      : fmt::format(fmt::runtime(is_number ? "{:>{}}  " : "{:<{}}  "), row[i],
                                    widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

int run_runs(const RunsOptions& o, CommandContext& context) {
  std::vector<fs::path> roots(o.folder.begin(), o.folder.end());
  if (roots.empty()) roots.push_back(fs::is_directory("runs") ? "runs" : ".");
  const std::vector<RunRow> runs = list_runs(roots);
  if (context.json) {
    Json list = Json::array();
    for (const RunRow& run : runs) list.push_back(json_of(run));
    context.print_json({{"runs", list}});
  } else if (runs.empty()) {
    context.log.info(
        "there is no training run below {}",
        join(o.folder.empty() ? std::vector<std::string>{roots[0].string()} : o.folder, ", "));
  } else {
    context.out << table_of(runs);
  }
  return 0;
}

}  // namespace

Command runs_command() {
  return make_command<RunsOptions>(
      {.name = "runs",
       .summary = "list training runs with their progress and losses",
       .help = "Every folder with a metrics.jsonl is a run; the most recently written one comes "
               "first. A run is running\n"
               "while a process holds its folder, finished once its model is written, and stopped "
               "otherwise; `lathe train\n"
               "RECIPE --resume` continues it. A damaged run is listed with its error.\n\n"
               "  lathe runs\n"
               "  lathe runs runs old-runs --json\n"},
      run_runs);
}

}  // namespace lathe
