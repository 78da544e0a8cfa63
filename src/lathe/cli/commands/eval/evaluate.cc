#include "lathe/cli/commands/eval/evaluate.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/eval/answering.h"
#include "lathe/cli/commands/eval/asked_tasks.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/eval/builtin/builtin_tasks.h"
#include "lathe/eval/run/contamination.h"
#include "lathe/eval/run/lm_eval_layout.h"
#include "lathe/eval/run/receipt.h"
#include "lathe/eval/score/scorer.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/folder_lock.h"
#include "lathe/io/json_file.h"
#include "lathe/io/manifest.h"
#include "lathe/lab/eval_page.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string absolute(const std::string& path) {
  return is_address(path) ? path : fs::absolute(path).lexically_normal().string();
}

// The options that a receipt keeps, and back.
Json json_of(const TaskOptions& o, const std::optional<std::string>& model) {
  Json tasks = Json::array();
  std::error_code ignored;
  for (const std::string& each : names_of_tasks(o.tasks))
    tasks.push_back(fs::exists(each, ignored) ? absolute(each) : each);
  Json json = {{"tasks", tasks},
               {"task_data", absolute(o.task_data)},
               {"shots", o.shots},
               {"seed", o.seed},
               {"limit", o.limit ? Json(*o.limit) : Json(nullptr)},
               {"chat", o.chat},
               {"system", o.system},
               {"shots_as_turns", o.shots_as_turns},
               {"precision", o.precision},
               {"weights", o.weights}};
  json["model"] = model ? Json(absolute(*model)) : Json(nullptr);
  json["adapter"] = Json::array();
  for (const std::string& each : o.adapter) json["adapter"].push_back(absolute(each));
  json["model_name"] = o.model_name ? Json(*o.model_name) : Json(nullptr);
  json["judge"] = o.judge ? Json(absolute(*o.judge)) : Json(nullptr);
  json["judge_name"] = o.judge_name ? Json(*o.judge_name) : Json(nullptr);
  json["responses"] = o.responses ? Json(absolute(*o.responses)) : Json(nullptr);
  return json;
}

Json suites_of(const TaskOptions& o, const Json& results) {
  Json suites = Json::object();
  const std::vector<std::string> names = names_of_tasks(o.tasks);
  for (const TaskSuite& suite : task_suites())
    if (std::ranges::find(names, suite.name) != names.end())
      suites[suite.name] = suite_result(results, suite.tasks);
  return suites;
}

// The score on items that no text has which the model has learnt from, beside that on all.
void add_contamination(const TaskOptions& o, const std::optional<std::string>& model,
                       const std::vector<AskedTask>& tasks, const ItemFile& items, Json& results,
                       CommandContext& context) {
  std::vector<fs::path> texts(o.corpus.begin(), o.corpus.end());
  if (texts.empty() && o.contamination && model && !is_address(*model))
    texts = texts_of_lineage(*model);
  if (texts.empty() || !o.contamination) return;
  Contamination contamination(tasks);
  Progress progress(context.progress, "looking for items in texts",
                    static_cast<double>(texts.size()), "files");
  double done = 0;
  for (const fs::path& text : texts) {
    contamination.look_in(text, throw_if_interrupted);
    progress.update(++done, text.filename().string());
  }
  progress.finish();
  for (size_t t = 0; t < tasks.size(); ++t)
    results["tasks"][tasks[t].name()]["contamination"] =
        contamination_result(tasks[t], items, contamination, t);
}

void add_contamination(const Json& results, Json& receipt) {
  for (const auto& [name, task] : results["tasks"].items())
    if (task.contains("contamination"))
      receipt["tasks"][name]["contamination"] = {{"items", task["contamination"]["items"]},
                                                 {"ngram", task["contamination"]["ngram"]}};
}

void check_code(const TaskOptions& o, const std::vector<AskedTask>& tasks) {
  for (const AskedTask& asked : tasks) {
    require(o.allow_code || !runs_programs(asked.task.config()), ErrorKind::kUsage,
            asked.task.config().file.string(),
            "judges answers by running them as programs, which happens only on request; add "
            "--allow-code to run them in a sandbox");
  }
}

// A judge is named for the tasks that ask one, and only for them.
void check_judge(const TaskOptions& o, const std::vector<AskedTask>& tasks) {
  const auto asks = [](const AskedTask& asked) { return asks_judge(asked.task.config()); };
  const auto found = std::ranges::find_if(tasks, asks);
  require(o.judge || found == tasks.end(), ErrorKind::kUsage,
          found == tasks.end() ? "" : found->task.config().file.string(),
          "asks a judge, another model, about answers; name one with --judge: a folder, or the "
          "address of a server with --judge-name");
  require(
      !o.judge || found != tasks.end(), ErrorKind::kUsage, "--judge",
      "means nothing here: none of these tasks asks a judge (scorer = \"judge\"); leave it out");
}

// The folder of a run that is new, or goes on.
class RunFolder {
 public:
  RunFolder(const std::string& path, bool resume) : path_(path) {
    std::error_code ignored;
    const bool used = fs::exists(path_, ignored) && !fs::is_empty(path_, ignored);
    require(!used || resume, ErrorKind::kUsage, path,
            "is there already; add --resume to go on with what it has, or name another folder with "
            "--out");
    require(!used || fs::exists(path_ / "receipt.json", ignored), ErrorKind::kUsage, path,
            "is no folder of an evaluation (it has no receipt.json); name another one with --out");
    fs::create_directories(path_);
    lock_.emplace(path_);
  }

  // Begins a receipt, or checks that the one that is there says the same. Returns the seconds that were spent before.
  double begin(const Json& receipt) const {
    std::error_code ignored;
    const fs::path file = path_ / "receipt.json";
    if (!fs::exists(file, ignored)) {
      write_json_file(file, receipt);
      return 0;
    }
    const Json before = read_json_file(file);
    std::vector<std::string> changed;
    for (const auto& [task, facts] : receipt["tasks"].items())
      for (std::string& name : differences(before, receipt, task))
        if (std::ranges::find(changed, name) == changed.end()) changed.push_back(std::move(name));
    require(changed.empty(), ErrorKind::kUsage, path_.string(),
            "is the folder of another run, which differs in {}; name another one with --out",
            join(changed, ", "));
    return before.value("seconds", 0.0);
  }
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
  std::optional<FolderLock> lock_;
};

void print_suites(const Json& results, std::ostream& out) {
  if (!results.contains("suites")) return;
  for (const auto& [name, suite] : results["suites"].items())
    if (!suite.is_null())
      out << fmt::format("suite {}, {} tasks: {:.4f} ± {:.4f} (0 is chance, 1 is all right)\n",
                         name, suite["tasks"].get<int64_t>(), suite["value"].get<double>(),
                         suite["stderr"].get<double>());
}

// The first metric on the other items, where there are both.
std::string clean_score(const Json& task) {
  const Json& metrics = task["contamination"]["clean"]["metrics"];
  if (task["contamination"]["items"] == 0 || metrics.empty()) return "";
  return fmt::format("; {} on the others is {:.4f}", metrics.begin().key(),
                     metrics.begin().value()["value"].get<double>());
}

void print_results(const Json& results, std::ostream& out) {
  size_t widest = 4;
  for (const auto& [name, task] : results["tasks"].items()) widest = std::max(widest, name.size());
  out << fmt::format("{:<{}}  items  {:<22} {:>9}  {:>7}  95 % interval\n", "task", widest,
                     "metric", "value", "± error");
  for (const auto& [name, task] : results["tasks"].items())
    for (const auto& [metric, m] : task["metrics"].items()) {
      out << fmt::format("{:<{}}  {:>5}  {:<22} {:>9.4f}", name, widest, task["n"].get<int64_t>(),
                         metric, m["value"].get<double>());
      if (!m["stderr"].is_null())
        out << fmt::format("  {:>7.4f}  {:.4f} to {:.4f}", m["stderr"].get<double>(),
                           m["ci95"][0].get<double>(), m["ci95"][1].get<double>());
      out << '\n';
    }
  for (const auto& [name, task] : results["tasks"].items())
    if (task.contains("contamination"))
      out << fmt::format("{}: {} of {} items are in text that the model has learnt from{}\n", name,
                         task["contamination"]["items"].get<int64_t>(), task["n"].get<int64_t>(),
                         clean_score(task));
}

void print_all(const Json& results, const std::string& folder, std::ostream& out) {
  print_results(results, out);
  print_suites(results, out);
  out << fmt::format("items, results and receipt are in {0}, drawn in {0}/report.html\n", folder);
}

// Asks for what the file does not have; leaves it in the order of tasks and items.
int64_t answer(const std::vector<AskedTask>& tasks, const EvalSources& sources, ItemFile& items,
               CommandContext& context) {
  std::optional<Progress> progress;
  const int64_t computed = answer_all(tasks, sources, items, [&](const EvalProgress& at) {
    throw_if_interrupted();
    if (!progress)
      progress.emplace(context.progress, "evaluating", static_cast<double>(at.all), "items");
    progress->update(at.done, at.task.name());
  });
  if (progress) progress->finish();
  std::vector<std::string> names;
  for (const AskedTask& asked : tasks) names.push_back(asked.name());
  items.sort(names);
  return computed;
}

}  // namespace

RepeatedRun run_of_receipt(const std::string& file) {
  const Json receipt = read_json_file(file);
  try {
    const Json& o = receipt.at("options");
    const auto text = [&](const char* key) {
      return o.at(key).is_null() ? std::nullopt : std::optional(o.at(key).get<std::string>());
    };
    RepeatedRun repeated;
    TaskOptions& options = repeated.options;
    options.tasks = o.at("tasks").get<std::vector<std::string>>();
    if (o.contains("adapter")) options.adapter = o["adapter"].get<std::vector<std::string>>();
    options.task_data = o.at("task_data").get<std::string>();
    options.shots = o.at("shots").get<int64_t>();
    options.seed = o.at("seed").get<int64_t>();
    if (!o.at("limit").is_null()) options.limit = o.at("limit").get<int64_t>();
    options.chat = o.at("chat").get<bool>();
    options.system = o.at("system").get<std::string>();
    options.shots_as_turns = o.at("shots_as_turns").get<bool>();
    options.precision = o.at("precision").get<std::string>();
    options.weights = o.at("weights").get<std::string>();
    options.responses = text("responses");
    options.model_name = text("model_name");
    if (o.contains("judge")) {
      options.judge = text("judge");
      options.judge_name = text("judge_name");
    }
    repeated.model = text("model");
    require_unchanged(receipt);
    return repeated;
  } catch (const Json::exception& error) {
    fail(ErrorKind::kFormat, file, "is no receipt of an evaluation: {}", error.what());
  }
}

int evaluate_tasks(const TaskOptions& o, const std::optional<std::string>& model,
                   const std::string& out, CommandContext& context) {
  const auto start = std::chrono::steady_clock::now();
  RunFolder folder(out, o.resume);
  const std::vector<AskedTask> tasks = ask_all(o, model, context);
  check_code(o, tasks);
  check_judge(o, tasks);
  const Answering answering = answering_of(o, model, context.log);
  const Answering judge = judge_of(o, context.log);
  Json receipt = receipt_of({.command = context.command_line(),
                             .options = json_of(o, model),
                             .shots = o.shots,
                             .seed = o.seed},
                            answering.named, judge.source ? &judge.named : nullptr, tasks);
  const double before = folder.begin(receipt);
  ItemFile items(folder / "items.jsonl");
  const int64_t computed = answer(tasks, {*answering.source, judge.source.get()}, items, context);
  Json results = results_of(tasks, items);
  if (Json suites = suites_of(o, results); !suites.empty()) results["suites"] = std::move(suites);
  add_contamination(o, model, tasks, items, results, context);
  results["computed"] = computed;
  receipt["seconds"] =
      before + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  add_contamination(results, receipt);
  write_json_file(folder / "results.json", results);
  if (computed > 0) write_json_file(folder / "receipt.json", receipt);
  write_file_atomically(folder / "report.html", eval_page(out));
  if (o.format == "lm-eval")
    write_lm_eval_layout(folder / "lm-eval", tasks, items, results, receipt);
  if (context.json)
    context.print_json(results);
  else
    print_all(results, out, context.out);
  return 0;
}

}  // namespace lathe
