#include "lathe/cli/commands/eval/tasks.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/cli/commands/eval/answering.h"
#include "lathe/cli/commands/eval/asked_tasks.h"
#include "lathe/cli/commands/eval/evaluate.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/manifest.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

int render(const TaskOptions& o, const std::optional<std::string>& model, const std::string& out,
           CommandContext& context) {
  const std::vector<AskedTask> tasks = ask_all(o, model, context);
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

// Options that have no effect in this use of the command.
std::vector<std::string> useless_options(const TaskOptions& o,
                                         const std::optional<std::string>& model) {
  if (o.receipt)
    return {"adapter",   "task_data", "shots",     "seed",       "limit",
            "chat",      "system",    "render",    "judge",      "shots_as_turns",
            "precision", "weights",   "responses", "model_name", "judge_name"};
  if (o.render)
    return {"adapter",    "precision",   "weights", "model_name", "judge",
            "judge_name", "retries",     "format",  "responses",  "allow_code",
            "cache",      "concurrency", "corpus",  "resume",     "contamination"};
  std::vector<std::string> useless;
  const auto any = [&](bool server) {
    return (model && is_address(*model) == server) || (o.judge && is_address(*o.judge) == server);
  };
  if (!any(/*server=*/false)) useless.insert(useless.end(), {"precision", "weights"});
  if (!any(/*server=*/true)) useless.insert(useless.end(), {"retries", "concurrency"});
  if (!model || is_address(*model)) useless.emplace_back("adapter");
  if (o.responses) useless.emplace_back("model_name");
  if (o.responses && !o.judge) useless.emplace_back("cache");
  return useless;
}

void refuse_useless(const TaskOptions& o, const std::optional<std::string>& model,
                    const CommandContext& context) {
  const std::string use = o.receipt                     ? "--receipt, which says it itself"
                          : o.render                    ? "--render"
                          : o.responses                 ? "--responses"
                          : model && is_address(*model) ? "a server"
                                                        : "a model's folder";
  for (std::string option : useless_options(o, model))
    if (std::ranges::find(context.given, option) != context.given.end()) {
      std::ranges::replace(option, '_', '-');
      fail(ErrorKind::kUsage, "command line", "--{} means nothing with {}; leave one of them out",
           option, use);
    }
}

// A server has models by name, and a folder has one. `whom`: "model", "judge".
void check_name(const char* whom, const std::optional<std::string>& model,
                const std::optional<std::string>& name) {
  const std::string option = fmt::format("--{}-name", whom);
  require(model || !name, ErrorKind::kUsage, option,
          "is the name of a {0} at a server, and there is no {0}; leave it out", whom);
  require(!model || !name || is_address(*model), ErrorKind::kUsage, option,
          "is the name of a {0} at a server, but the {0} is a folder; leave it out, or give an "
          "address http://HOST:PORT/v1",
          whom);
  require(!model || name || !is_address(*model), ErrorKind::kUsage, option,
          "is missing: the name under which the server has the {}", whom);
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
  v.field("chat", chat, "ask through the model's chat template: prompts are turns of the user");
  v.field("system", system, "with --chat: the system message, before a task's description");
  v.field("shots_as_turns", shots_as_turns,
          "with --chat: each shot is a turn of the user and one of the assistant");
  v.choice("precision", precision, precision_names(), "arithmetic and weights in memory");
  visit_weights(v, weights);
  v.field("model_name", model_name, "of a model that is asked through a server: its name there");
  v.field("retries", retries, "of a request that a server does not answer", at_least(0));
  v.field("concurrency", concurrency, "requests to a server at a time", at_least(1));
  v.field("responses", responses,
          "score recorded answers, with no model: JSON lines {\"task\", \"id\", \"responses\"}");
  v.field(
      "judge", judge,
      "with tasks that ask a judge about answers: its folder or .gguf, or the address of a server");
  v.field("judge_name", judge_name, "of a judge that is asked through a server: its name there");
  v.field("allow_code", allow_code, "let a task run programs that a model wrote, in a sandbox");
  v.choice("format", format, {"lathe", "lm-eval"},
           "lm-eval: also write results and samples in the layout of lm-evaluation-harness, below "
           "OUT/lm-eval");
  v.field(
      "corpus", corpus,
      "text that the model has learnt from, where items are looked for (default: the texts that its "
      "manifests name, if they are there)");
  v.field("contamination", contamination,
          "look for items in the text that the model has learnt from");
  v.field(
      "cache", cache,
      "folder of answers that are known by what was asked of which model: other runs use and add to "
      "it");
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
  refuse_useless(given, named, context);
  require(given.contamination || given.corpus.empty(), ErrorKind::kUsage, "command line",
          "--corpus means nothing with --no-contamination; leave one of them out");
  if (given.receipt) {
    require(given.tasks.empty() && !named, ErrorKind::kUsage, "--receipt",
            "names tasks and model itself; leave --tasks and the model out");
    RepeatedRun repeated = run_of_receipt(*given.receipt);
    repeated.options.resume = given.resume;
    repeated.options.allow_code = given.allow_code;
    return evaluate_tasks(repeated.options, repeated.model, folder(), context);
  }
  require(given.chat || (given.system.empty() && !given.shots_as_turns), ErrorKind::kUsage,
          "command line", "--system and --shots-as-turns mean nothing without --chat; add it");
  require(!(given.render && named && !given.chat) && !(given.responses && named), ErrorKind::kUsage,
          "command line", "{} needs no model; leave '{}' out",
          given.render ? "--render" : "--responses", named.value_or(""));
  if (given.render) return render(given, named, folder(), context);
  require(
      named || given.responses, ErrorKind::kUsage, "command line",
      "nothing answers; name a model, or recorded answers with --responses, or see what would be "
      "asked with --render");
  check_name("model", named, given.model_name);
  check_name("judge", given.judge, given.judge_name);
  return evaluate_tasks(given, named, folder(), context);
}

}  // namespace lathe
