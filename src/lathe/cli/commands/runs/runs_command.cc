// lathe runs: what is there, what is going on, and how good it is.

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/frame/table.h"
#include "lathe/lab/folder_search.h"
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
  json["reward"] = number(row.reward);
  json["val_reward"] = number(row.val_reward);
  json["age_seconds"] = number(row.age_seconds);
  json["note"] = row.note;
  return json;
}

std::string cell_of(const std::optional<double>& value) {
  if (!value) return "-";
  return std::isnan(*value) ? "NaN" : fmt::format("{:.4f}", *value);
}

struct Column {
  std::string title;
  bool is_number;
  std::function<std::string(const RunRow&)> cell;
};

// Those of rewards where a run has one.
std::vector<Column> columns_of(const std::vector<RunRow>& runs) {
  const auto value = [](const char* title, std::optional<double> RunRow::*member) {
    return Column{title, true, [member](const RunRow& row) { return cell_of(row.*member); }};
  };
  std::vector<Column> columns = {
      {"run", false, [](const RunRow& row) { return row.folder.string(); }},
      {"state", false, [](const RunRow& row) { return std::string(name_of(row.state)); }},
      {"steps", true,
       [](const RunRow& row) {
         return std::to_string(row.steps) +
                (row.planned ? fmt::format(" of {}", *row.planned) : "");
       }},
      value("loss", &RunRow::loss),
      value("val loss", &RunRow::val_loss)};
  for (const Column& each :
       {value("reward", &RunRow::reward), value("val reward", &RunRow::val_reward)})
    if (std::ranges::any_of(runs, [&](const RunRow& row) { return each.cell(row) != "-"; }))
      columns.push_back(each);
  columns.push_back({"age", true, [](const RunRow& row) {
                       return row.age_seconds ? human_time(*row.age_seconds) : "-";
                     }});
  columns.push_back({"", false, [](const RunRow& row) { return row.note; }});
  return columns;
}

std::string table_of(const std::vector<RunRow>& runs) {
  std::vector<TableColumn> columns;
  for (const Column& column : columns_of(runs)) {
    columns.push_back({column.title, column.is_number, {}});
    for (const RunRow& run : runs) columns.back().cells.push_back(column.cell(run));
  }
  return table_text(columns);
}

int run_runs(const RunsOptions& o, CommandContext& context) {
  const std::vector<fs::path> roots = searched_folders(o.folder);
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
       .help =
           "Every folder with a metrics.jsonl is a run; the most recently written one comes "
           "first. A run is running\n"
           "while a process holds its folder, finished once its model is written, and stopped "
           "otherwise; `lathe train\n"
           "RECIPE --resume` continues it. A damaged run is listed with its error. Runs that learn from "
           "rewards are\nvalidated by rewards, not by a loss.\n\n"
           "  lathe runs\n"
           "  lathe runs runs old-runs --json\n"},
      run_runs);
}

}  // namespace lathe
