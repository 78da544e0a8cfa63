#include "lathe/lab/score_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/eval/builtin/builtin_tasks.h"
#include "lathe/io/json_file.h"
#include "lathe/lab/folder_search.h"
#include "lathe/lab/run_data.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Estimate estimate_of(const Json& m) {
  Estimate estimate{.value = m.at("value").get<double>(), .error = {}, .ci95 = {}};
  if (!m.at("stderr").is_null()) estimate.error = m["stderr"].get<double>();
  if (!m.at("ci95").is_null())
    estimate.ci95 = {m["ci95"].at(0).get<double>(), m["ci95"].at(1).get<double>()};
  return estimate;
}

ScoredTask task_of(const std::string& name, const Json& task) {
  ScoredTask scored{
      .name = name, .questions = {}, .items = task.at("n"), .chance = {}, .metrics = {}};
  if (task.contains("questions")) scored.questions = task["questions"].get<std::string>();
  if (task.contains("chance")) scored.chance = task["chance"].get<double>();
  for (const auto& [metric, m] : task.at("metrics").items())
    scored.metrics.emplace_back(metric, estimate_of(m));
  return scored;
}

// RUN of RUN/model, RUN/adapter and RUN/checkpoints/…; a model from elsewhere is its own.
std::string run_of(const fs::path& model) {
  const fs::path above = model.parent_path();
  if (model.filename() == "model" || model.filename() == "adapter") return above.string();
  if (above.filename() == "checkpoints") return above.parent_path().string();
  return model.string();
}

ScoredModel evaluation_in(const fs::path& folder) {
  ScoredModel scored;
  scored.folder = folder;
  try {
    const Json results = read_json_file(folder / "results.json"),
               receipt = read_json_file(folder / "receipt.json");
    if (const Json& model = receipt.at("model"); model.is_string()) {
      scored.model = model.get<std::string>();
      scored.run = run_of(scored.model);
    }
    scored.started = receipt.at("started").get<std::string>();
    scored.shots = receipt.at("shots").get<int64_t>();
    if (const auto flops = receipt.find("training_flops");
        flops != receipt.end() && !flops->is_null())
      scored.flops = flops->get<double>();
    for (const auto& [name, task] : results.at("tasks").items())
      scored.tasks.push_back(task_of(name, task));
  } catch (const Error& e) {
    scored.note = e.what();
  } catch (const Json::exception& e) {
    scored.note = fmt::format("is no whole evaluation: {}", e.what());
  }
  return scored;
}

// What a built-in task is a form of.
std::optional<std::string> questions_of(const std::string& task) {
  const std::vector<std::string> known = names_of(embedded_tasks());
  if (std::ranges::find(known, task) == known.end()) return std::nullopt;
  return read_builtin_task(task, "").questions;
}

// The FLOPs of the run up to its steps; what it began from is not in them.
std::map<double, double> flops_by_step(const RunData& run) {
  std::map<double, double> flops;
  for (const StepPoint& p : run.steps)
    if (std::isfinite(p.flops)) flops[p.step] = p.flops;
  return flops;
}

Estimate estimate_of(const TaskScore& score) {
  constexpr double kQuantile = 1.96;
  Estimate estimate{.value = score.value, .error = {}, .ci95 = {}};
  if (!std::isfinite(score.error)) return estimate;
  estimate.error = score.error;
  estimate.ci95 = {score.value - kQuantile * score.error, score.value + kQuantile * score.error};
  return estimate;
}

void add_score(ScoredModel& scored, const std::string& name, const TaskScore& score) {
  const size_t dot = name.rfind('.');
  const std::string task = name.substr(0, dot);
  auto found = std::ranges::find(scored.tasks, task, &ScoredTask::name);
  if (found == scored.tasks.end()) {
    scored.tasks.push_back(
        {.name = task, .questions = questions_of(task), .chance = {}, .metrics = {}});
    found = std::prev(scored.tasks.end());
  }
  if (std::isfinite(score.chance)) found->chance = score.chance;
  found->metrics.emplace_back(name.substr(dot + 1), estimate_of(score));
}

std::vector<ScoredModel> measurements_in(const fs::path& folder) {
  std::map<double, ScoredModel> by_step;
  try {
    const RunData run = read_run(folder);
    const bool is_from_others =
        run.recipe.is_object() && run.recipe.contains(Json::json_pointer("/model/from"));
    const Json::json_pointer shots("/eval/shots");
    const int64_t asked_shots = run.recipe.is_object() ? run.recipe.value(shots, int64_t{0}) : 0;
    const auto flops = flops_by_step(run);
    for (const auto& [name, scores] : run.task_scores) {
      for (const TaskScore& score : scores) {
        if (!std::isfinite(score.value)) continue;
        ScoredModel& scored = by_step[score.step];
        scored.folder = folder;
        scored.model = scored.run = folder.string();
        scored.step = static_cast<int64_t>(score.step);
        scored.shots = asked_shots;
        if (const auto at = flops.find(score.step); at != flops.end() && !is_from_others)
          scored.flops = at->second;
        add_score(scored, name, score);
      }
    }
  } catch (const Error& e) {
    ScoredModel damaged;
    damaged.folder = folder;
    damaged.note = e.what();
    return {damaged};
  }
  std::vector<ScoredModel> all;
  for (auto& [step, scored] : by_step) all.push_back(std::move(scored));
  return all;
}

}  // namespace

std::vector<ScoredModel> list_scores(const std::vector<fs::path>& roots) {
  std::vector<ScoredModel> evaluations, measurements;
  visit_folders(
      roots,
      [&](const fs::path& folder) {
        std::error_code error;
        if (fs::exists(folder / "receipt.json", error) &&
            fs::exists(folder / "results.json", error))
          evaluations.push_back(evaluation_in(folder));
        if (fs::exists(folder / "metrics.jsonl", error))
          for (ScoredModel& each : measurements_in(folder)) measurements.push_back(std::move(each));
      },
      [&](const fs::path& folder, const std::error_code& error) {
        ScoredModel unreadable;
        unreadable.folder = folder;
        unreadable.note = fmt::format("the folder cannot be listed: {}", error.message());
        evaluations.push_back(std::move(unreadable));
      });
  std::ranges::stable_sort(evaluations, {}, &ScoredModel::started);
  std::ranges::move(measurements, std::back_inserter(evaluations));
  return evaluations;
}

}  // namespace lathe
