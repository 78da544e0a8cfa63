// lathe eval runs: what models scored, in a table and against the compute of their training.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/eval/asked_tasks.h"
#include "lathe/cli/commands/eval/eval.h"
#include "lathe/cli/frame/table.h"
#include "lathe/io/atomic_file.h"
#include "lathe/lab/folder_search.h"
#include "lathe/lab/ladder.h"
#include "lathe/lab/score_page.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct EvalRunsOptions {
  std::vector<std::string> folder, tasks;
  std::optional<std::string> html;

  void visit(Visitor& v) {
    v.positional("folder", folder, "folders to search (default: runs, else the current folder)",
                 Limits());
    v.field("tasks", tasks,
            "only these tasks, by their names with commas between them (default: all)");
    v.field("html", html, "also write a page with the table and the curves");
  }
};

Json json_of(const Estimate& e) {
  Json json = {{"value", e.value}, {"stderr", nullptr}, {"ci95", nullptr}};
  if (e.error) json["stderr"] = *e.error;
  if (e.ci95) json["ci95"] = {e.ci95->first, e.ci95->second};
  return json;
}

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json json_of(const ScoredModel& scored) {
  Json tasks = Json::object();
  for (const ScoredTask& task : scored.tasks) {
    Json metrics = Json::object();
    for (const auto& [name, estimate] : task.metrics) metrics[name] = json_of(estimate);
    tasks[task.name] = {{"metrics", metrics}, {"chance", or_null(task.chance)}};
  }
  return {{"folder", scored.folder.string()},
          {"model", scored.model},
          {"run", scored.run},
          {"step", or_null(scored.step)},
          {"flops", or_null(scored.flops)},
          {"started", scored.started},
          {"shots", scored.shots},
          {"tasks", tasks},
          {"note", scored.note}};
}

Json json_of(const Ladder& ladder) {
  Json rungs = Json::array();
  for (const Rung& rung : ladder.rungs)
    rungs.push_back({{"run", rung.model->run},
                     {"step", or_null(rung.model->step)},
                     {"flops", rung.flops},
                     {"score", json_of(rung.score)}});
  return {{"task", ladder.task},
          {"metric", ladder.metric},
          {"shots", ladder.shots},
          {"rungs", rungs},
          {"from_flops", ladder.from ? Json(ladder.rungs[*ladder.from].flops) : Json(nullptr)}};
}

std::string text_of(const Estimate& e) {
  return fmt::format("{:.4f}", e.value) + (e.error ? fmt::format(" ± {:.4f}", *e.error) : "");
}

// One line for each task of each model.
std::string table_of(std::span<const ScoredModel> models) {
  std::vector<TableColumn> columns = {{"evaluation or run", false, {}},
                                      {"step", true, {}},
                                      {"FLOPs", true, {}},
                                      {"shots", true, {}},
                                      {"task", false, {}},
                                      {"chance", true, {}},
                                      {"scores", false, {}}};
  const auto add = [&](const std::vector<std::string>& cells) {
    for (size_t i = 0; i < cells.size(); ++i) columns[i].cells.push_back(cells[i]);
  };
  for (const ScoredModel* model : shown_scores(models)) {
    const std::string step = model->step ? std::to_string(*model->step) : "",
                      flops = model->flops ? fmt::format("{:.3g}", *model->flops) : "";
    if (!model->note.empty()) add({model->folder.string(), "", "", "", model->note, "", ""});
    for (const ScoredTask& task : model->tasks) {
      std::vector<std::string> scores;
      for (const auto& [name, estimate] : task.metrics)
        scores.push_back(name + " " + text_of(estimate));
      add({model->folder.string(), step, flops, std::to_string(model->shots), task.name,
           task.chance ? fmt::format("{:.3g}", *task.chance) : "", join(scores, ", ")});
    }
  }
  return table_text(columns);
}

void keep_only(std::vector<ScoredModel>& models, const std::vector<std::string>& tasks) {
  for (ScoredModel& model : models)
    std::erase_if(model.tasks, [&](const ScoredTask& task) {
      return std::ranges::find(tasks, task.name) == tasks.end();
    });
  std::erase_if(models, [](const ScoredModel& m) { return m.tasks.empty() && m.note.empty(); });
}

int run_eval_runs(const EvalRunsOptions& o, CommandContext& context) {
  const std::vector<fs::path> roots = searched_folders(o.folder);
  std::vector<ScoredModel> models = list_scores(roots);
  if (!o.tasks.empty()) keep_only(models, names_of_tasks(o.tasks));
  const std::vector<Ladder> ladders = ladders_of(models);
  if (o.html) write_file_atomically(*o.html, score_page(models, ladders));
  if (context.json) {
    Json list = Json::array(), curves = Json::array();
    for (const ScoredModel& each : models) list.push_back(json_of(each));
    for (const Ladder& each : ladders) curves.push_back(json_of(each));
    context.print_json({{"scores", list}, {"ladders", curves}});
    return 0;
  }
  if (models.empty()) {
    std::vector<std::string> names;
    for (const fs::path& root : roots) names.push_back(root.string());
    context.log.info("there is no evaluation{} below {}",
                     o.tasks.empty() ? "" : " of " + join(o.tasks, ", "), join(names, ", "));
    return 0;
  }
  context.out << table_of(models);
  if (!ladders.empty()) context.out << "\nby the compute of training:\n";
  for (const Ladder& each : ladders) context.out << ladder_text(each) << '\n';
  return 0;
}

}  // namespace

Command eval_runs_command() {
  return make_command<EvalRunsOptions>(
      {.name = "runs",
       .summary = "list what models scored, and draw it against the compute of their training",
       .help =
           "Finds evaluations (`lathe eval --tasks`) and what training runs measured on their own weights ([eval] of a "
           "recipe);\nof a run the last measurement is listed. Where the compute of training is known, from the manifests of "
           "the models,\nscores are put in its order, of each task a share of right answers and a continuous metric: from "
           "which model or\ncheckpoint on the first is above chance, and from which on the second has changed. Tasks with "
           "the same `questions`, such\nas arc_easy and arc_easy_mc, are drawn in one chart of the page.\n\n"
           "  lathe eval runs\n"
           "  lathe eval runs runs scores --tasks arc_easy,arc_easy_mc --html scores.html\n"},
      run_eval_runs);
}

}  // namespace lathe
