#include "lathe/cli/commands/eval/tasks.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

#include "lathe/base/catalogue.h"
#include "lathe/base/env.h"
#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/eval/ask/model_source.h"
#include "lathe/eval/ask/recorded_source.h"
#include "lathe/eval/ask/server_source.h"
#include "lathe/eval/builtin/builtin_tasks.h"
#include "lathe/eval/run/eval_run.h"
#include "lathe/eval/run/lm_eval_layout.h"
#include "lathe/eval/run/receipt.h"
#include "lathe/eval/score/scorer.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/folder_lock.h"
#include "lathe/io/json_file.h"
#include "lathe/io/manifest.h"
#include "lathe/io/mapped_file.h"
#include "lathe/io/sha256.h"
#include "lathe/kernels/kernels.h"
#include "lathe/lab/eval_page.h"
#include "lathe/model/load_model.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// "A,B" and "@FILE", a list with one a line.
std::vector<std::string> names_of_tasks(const std::vector<std::string>& given) {
  std::vector<std::string> names;
  const auto add = [&](std::string_view list, char separator) {
    while (!list.empty()) {
      const size_t end = std::min(list.find(separator), list.size());
      std::string_view name = list.substr(0, end);
      if (name.ends_with('\r')) name.remove_suffix(1);
      if (!name.empty()) names.emplace_back(name);
      list.remove_prefix(std::min(end + 1, list.size()));
    }
  };
  for (const std::string& each : given) {
    if (each.starts_with('@'))
      add(read_file(each.substr(1), size_t{16} << 20), '\n');
    else
      add(each, ',');
  }
  require(!names.empty(), ErrorKind::kUsage, "--tasks",
          "names no task; give the names or files of some");
  return names;
}

std::vector<EvalTask> read_tasks(const TaskOptions& o, const Log& log) {
  std::vector<EvalTask> tasks;
  std::set<std::string> names;
  for (const std::string& given : names_of_tasks(o.tasks)) {
    for (TaskConfig& config : tasks_named(given, o.task_data)) {
      tasks.emplace_back(std::move(config), o.shots, Rng(static_cast<uint64_t>(o.seed)));
      const TaskConfig& c = tasks.back().config();
      require(names.insert(c.name).second, ErrorKind::kConfig, c.file.string(),
              "is named '{}', as another of these tasks is; change one of the names, or name it "
              "once",
              c.name);
      if (c.rows && *c.rows != tasks.back().size())
        log.warn("{} has {} rows, but {} expects {}; results are not those of the whole set",
                 c.data_path().string(), tasks.back().size(), c.name, *c.rows);
    }
  }
  return tasks;
}

// Renders all, so that a row that cannot be asked is known before anything is computed.
std::vector<AskedTask> ask_all(const TaskOptions& o, CommandContext& context) {
  std::vector<EvalTask> tasks = read_tasks(o, context.log);
  require(std::ranges::find(context.given, "task_data") == context.given.end() ||
              std::ranges::any_of(tasks, [](const EvalTask& t) { return t.config().is_builtin; }),
          ErrorKind::kUsage, "command line",
          "--task-data means nothing here: none of these tasks is built in; leave it out");
  double all = 0, before = 0;
  for (const EvalTask& task : tasks)
    all += static_cast<double>(std::min(task.size(), o.limit.value_or(task.size())));
  Progress progress(context.progress, "rendering", all, "items");
  std::vector<AskedTask> asked;
  for (EvalTask& task : tasks) {
    asked.push_back(ask_of(std::move(task), o.limit, [&](int64_t done) {
      throw_if_interrupted();
      progress.update(before + static_cast<double>(done), "");
    }));
    before += static_cast<double>(asked.back().items.size());
  }
  progress.finish();
  return asked;
}

int render(const TaskOptions& o, const std::string& out, CommandContext& context) {
  const std::vector<AskedTask> tasks = ask_all(o, context);
  AtomicDirectory folder(out);
  AtomicFile items(folder.temporary() / "items.jsonl");
  Json counts = Json::object();
  for (const AskedTask& asked : tasks) {
    for (const EvalItem& item : asked.items)
      items.write(JsonLines::text_of(
          json_of(EvalRecord{.task = asked.name(), .item = item, .answer = {}, .reason = {}})));
    counts[asked.name()] = {{"n", asked.items.size()}};
  }
  items.commit();
  Manifest manifest = new_manifest("rendered tasks", context.command_line());
  for (const AskedTask& asked : tasks)
    if (!asked.task.config().is_builtin)
      add_input(manifest, asked.task.config().file.string(), "task");
  write_manifest(manifest_path(folder.temporary(), true), manifest);
  folder.commit();
  if (context.json) {
    context.print_json({{"tasks", counts}, {"computed", 0}});
    return 0;
  }
  for (const auto& [name, count] : counts.items())
    context.out << fmt::format("{}: {} items\n", name, count["n"].get<int64_t>());
  context.out << "they are in " << out << "/items.jsonl\n";
  return 0;
}

bool is_address(const std::string& model) {
  return model.starts_with("http://") || model.starts_with("https://");
}

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
               {"precision", o.precision},
               {"weights", o.weights},
               {"allow_code", o.allow_code}};
  json["model"] = model ? Json(absolute(*model)) : Json(nullptr);
  json["model_name"] = o.model_name ? Json(*o.model_name) : Json(nullptr);
  json["responses"] = o.responses ? Json(absolute(*o.responses)) : Json(nullptr);
  return json;
}

struct Repeated {
  TaskOptions options;
  std::optional<std::string> model;
};
Repeated options_of_receipt(const std::string& file) {
  const Json receipt = read_json_file(file);
  try {
    const Json& o = receipt.at("options");
    const auto text = [&](const char* key) {
      return o.at(key).is_null() ? std::nullopt : std::optional(o.at(key).get<std::string>());
    };
    Repeated repeated;
    TaskOptions& options = repeated.options;
    options.tasks = o.at("tasks").get<std::vector<std::string>>();
    options.task_data = o.at("task_data").get<std::string>();
    options.shots = o.at("shots").get<int64_t>();
    options.seed = o.at("seed").get<int64_t>();
    if (!o.at("limit").is_null()) options.limit = o.at("limit").get<int64_t>();
    options.precision = o.at("precision").get<std::string>();
    options.weights = o.at("weights").get<std::string>();
    options.allow_code = o.at("allow_code").get<bool>();
    options.responses = text("responses");
    options.model_name = text("model_name");
    repeated.model = text("model");
    require_unchanged(receipt);
    return repeated;
  } catch (const Json::exception& error) {
    fail(ErrorKind::kFormat, file, "is no receipt of an evaluation: {}", error.what());
  }
}

// A model with its tokenizer, as a source of answers.
class LoadedModel : public AnswerSource {
 public:
  LoadedModel(const std::string& path, const TaskOptions& o, const Log& log)
      : model_(load_for_inference(path, dtype_of_precision(o.precision), log,
                                  quantised_weights(o.weights))),
        tokenizer_(load_tokenizer(path)),
        source_(*model_, tokenizer_, request_rules(*model_, tokenizer_, path), o.seed) {}
  void ask(const EvalTask& task, std::span<const EvalItem> items,
           const std::function<void(std::span<NumberedAnswer>)>& take) override {
    source_.ask(task, items, take);
  }

 private:
  std::unique_ptr<Transformer> model_;
  Tokenizer tokenizer_;
  ModelSource source_;
};

std::unique_ptr<AnswerSource> make_source(const TaskOptions& o,
                                          const std::optional<std::string>& model,
                                          ReceiptSource& named, const Log& log) {
  if (o.responses) {
    named.responses_sha256 = sha256_of_file(*o.responses);
    return std::make_unique<RecordedSource>(*o.responses);
  }
  if (is_address(*model)) {
    named.model = fmt::format("{} {}", *model, *o.model_name);
    return std::make_unique<ServerSource>(ServerSetting{.url = *model,
                                                        .model = *o.model_name,
                                                        .retries = o.retries,
                                                        .concurrency = o.concurrency,
                                                        .key = environment("OPENAI_API_KEY")});
  }
  named = source_of_model(*model);
  named.precision = o.precision;
  named.kernels = kernels::cpu_kernels().level;
  return std::make_unique<LoadedModel>(*model, o, log);
}

void check_code(const TaskOptions& o, const std::vector<AskedTask>& tasks) {
  for (const AskedTask& asked : tasks) {
    const auto& scorer = asked.task.config().scorer;
    require(!scorer || o.allow_code || !find_in(scorers(), "scorer", *scorer).runs_programs,
            ErrorKind::kUsage, asked.task.config().file.string(),
            "judges answers by running them as programs, which happens only on request; add "
            "--allow-code to run them in a sandbox");
  }
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

  // Begins a receipt, or checks that the one that is there says the same.
  void begin(const Json& receipt) const {
    std::error_code ignored;
    const fs::path file = path_ / "receipt.json";
    if (!fs::exists(file, ignored)) return write_json_file(file, receipt);
    const Json before = read_json_file(file);
    std::vector<std::string> changed;
    for (const auto& [task, facts] : receipt["tasks"].items())
      for (std::string& name : differences(before, receipt, task))
        if (std::ranges::find(changed, name) == changed.end()) changed.push_back(std::move(name));
    require(changed.empty(), ErrorKind::kUsage, path_.string(),
            "is the folder of another run, which differs in {}; name another one with --out",
            join(changed, ", "));
  }
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
  std::optional<FolderLock> lock_;
};

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
}

int evaluate_tasks(const TaskOptions& o, const std::optional<std::string>& model,
                   const std::string& out, CommandContext& context) {
  const auto start = std::chrono::steady_clock::now();
  RunFolder folder(out, o.resume);
  const std::vector<AskedTask> tasks = ask_all(o, context);
  check_code(o, tasks);
  ReceiptSource named;
  const auto source = make_source(o, model, named, context.log);
  Json receipt = receipt_of({.command = context.command_line(),
                             .options = json_of(o, model),
                             .shots = o.shots,
                             .seed = o.seed},
                            named, tasks);
  folder.begin(receipt);
  ItemFile items(folder / "items.jsonl");
  std::optional<Progress> progress;
  const int64_t computed = answer_all(tasks, *source, items, [&](const EvalProgress& at) {
    throw_if_interrupted();
    if (!progress)
      progress.emplace(context.progress, "evaluating", static_cast<double>(at.all), "items");
    progress->update(static_cast<double>(at.done), at.task.name());
  });
  if (progress) progress->finish();
  std::vector<std::string> names;
  for (const AskedTask& asked : tasks) names.push_back(asked.name());
  items.sort(names);
  Json results = results_of(tasks, items);
  results["computed"] = computed;
  write_json_file(folder / "results.json", results);
  if (computed > 0) {
    receipt["seconds"] =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    write_json_file(folder / "receipt.json", receipt);
  }
  write_file_atomically(folder / "report.html", eval_page(out));
  if (o.format == "lm-eval")
    write_lm_eval_layout(folder / "lm-eval", tasks, items, results, receipt);
  if (context.json) {
    context.print_json(results);
  } else {
    print_results(results, context.out);
    context.out << "items, results and receipt are in " << out << ", drawn in " << out
                << "/report.html\n";
  }
  return 0;
}

}  // namespace

void TaskOptions::visit(Visitor& v) {
  v.field("tasks", tasks,
          "built-in tasks and suites (`lathe eval tasks`), and task files: A,B or @FILE for a list "
          "with one a line");
  v.field("task_data", task_data, "folder with the data of built-in tasks");
  v.field("shots", shots, "solved items before each", at_least(0));
  v.field("seed", seed, "of the shots that are drawn", at_least(0));
  v.field("limit", limit, "items of each task, from the first (default: all)", at_least(1));
  v.choice("precision", precision, precision_names(), "arithmetic and weights in memory");
  visit_weights(v, weights);
  v.field("model_name", model_name, "of a model that is asked through a server: its name there");
  v.field("retries", retries, "of a request that a server does not answer", at_least(0));
  v.field("concurrency", concurrency, "requests to a server at a time", at_least(1));
  v.field("responses", responses,
          "score recorded answers, with no model: JSON lines {\"task\", \"id\", \"responses\"}");
  v.field("allow_code", allow_code, "let a task run programs that a model wrote, in a sandbox");
  v.choice("format", format, {"lathe", "lm-eval"},
           "lm-eval: also write results and samples in the layout of lm-evaluation-harness, below "
           "OUT/lm-eval");
  v.field("resume", resume, "go on with what --out has");
  v.field("render", render, "write what would be asked, with no model");
  v.field("receipt", receipt, "repeat the run of this receipt.json");
}

int run_tasks(const TaskOptions& given, const std::optional<std::string>& named,
              const std::optional<std::string>& out, CommandContext& context) {
  const auto folder = [&] {
    require(out.has_value(), ErrorKind::kUsage, "--out", "is missing; name a folder to write");
    return *out;
  };
  if (given.receipt) {
    require(given.tasks.empty() && !named, ErrorKind::kUsage, "--receipt",
            "names tasks and model itself; leave --tasks and the model out");
    Repeated repeated = options_of_receipt(*given.receipt);
    repeated.options.resume = given.resume;
    return evaluate_tasks(repeated.options, repeated.model, folder(), context);
  }
  require(!(given.render && named) && !(given.responses && named), ErrorKind::kUsage,
          "command line", "{} needs no model; leave '{}' out",
          given.render ? "--render" : "--responses", named.value_or(""));
  if (given.render) return render(given, folder(), context);
  require(
      named || given.responses, ErrorKind::kUsage, "command line",
      "nothing answers; name a model, or recorded answers with --responses, or see what would be "
      "asked with --render");
  require(!named || is_address(*named) == given.model_name.has_value(), ErrorKind::kUsage,
          "--model-name", "{}",
          given.model_name
              ? "is the name of a model at a server, but the model is a folder; leave it "
                "out, or give an address http://HOST:PORT/v1"
              : "is missing: the name under which the server has the model");
  return evaluate_tasks(given, named, folder(), context);
}

}  // namespace lathe
