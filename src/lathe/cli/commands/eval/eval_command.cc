// lathe eval: tasks (tasks.cc), and train/evaluation.h, shown.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/cli/commands/eval/eval.h"
#include "lathe/cli/commands/eval/tasks.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/cli/frame/parse.h"
#include "lathe/config/read_write.h"
#include "lathe/io/json_file.h"
#include "lathe/io/manifest.h"
#include "lathe/train/evaluation.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct EvalOptions {
  std::optional<std::string> model, data, out;
  std::vector<std::string> adapter;
  EvaluationConfig evaluation;
  TaskOptions tasks;

  void visit(Visitor& v) {
    v.positional("model", model, "folder or .gguf of a model, or folder of a checkpoint", {});
    v.field("data", data,
            "token shard, of which the loss is measured: the prefix of a .bin and .idx");
    v.field("adapter", adapter,
            "folder of an adapter, as PEFT saves it; several act one after the other (with --tasks "
            "low-rank updates alone)");
    evaluation.visit(v);
    tasks.visit(v);
    v.field("out", out,
            "with --data: also write the result to this file, for `lathe plot --x position`; with "
            "--tasks: folder to write");
  }
};

Evaluation measure(const EvaluationConfig& config, CommandContext& context) {
  std::optional<Progress> progress;
  Evaluation result = evaluate(config, context.log, [&](int64_t done, int64_t all) {
    if (!progress)
      progress.emplace(context.progress, "evaluating", static_cast<double>(all), "samples");
    progress->update(static_cast<double>(done), "");
    throw_if_interrupted();
  });
  if (progress) progress->finish();
  return result;
}

void print(const Json& result, std::ostream& out) {
  out << fmt::format("{} of {} samples of {} tokens: loss {:.4f}", result["samples"].get<int64_t>(),
                     result["samples_in_shard"].get<int64_t>(), result["seq_len"].get<int64_t>(),
                     result["loss"].get<double>());
  if (result.contains("bits_per_byte"))
    out << fmt::format(", {:.4f} bits per byte", result["bits_per_byte"].get<double>());
  out << '\n';
  if (result.contains("by_kind")) {
    out << "denoiser       loss\n";
    for (const auto& [kind, loss] : result["by_kind"].items())
      out << fmt::format("{:<14} {:.4f}\n", kind, loss.get<double>());
  }
  out << "position       loss\n";
  for (const Json& b : result["by_position"])
    out << fmt::format("{:>5} to {:<5} {:.4f}\n", b["from"].get<int64_t>(),
                       b["to"].get<int64_t>() - 1, b["loss"].get<double>());
}

void write_result(const EvalOptions& o, const Json& result, const std::string& command) {
  write_json_file(*o.out, result);
  Manifest manifest = new_manifest("evaluation", command);
  add_input(manifest, o.evaluation.model, "model");
  for (const std::string& each : o.evaluation.adapter) add_input(manifest, each, "adapter");
  add_input(manifest, o.evaluation.data, "shard");
  add_output(manifest, *o.out, "evaluation");
  write_manifest(manifest_path(*o.out, false), manifest);
}

// Options of one of the two uses, given beside the other.
void refuse_options_of(ConfigRef unused, const char* other, const CommandContext& context) {
  for (const FieldInfo& field : describe(unused))
    require(std::ranges::find(context.given, field.key) == context.given.end(), ErrorKind::kUsage,
            "command line", "--{} means nothing with {}; leave one of them out",
            option_name(field.key).substr(2), other);
}

int run_eval(const EvalOptions& given, CommandContext& context) {
  EvalOptions o = given;
  require(o.data.has_value() != o.tasks.given(), ErrorKind::kUsage, "command line",
          "{}; name a token shard with --data, or tasks with --tasks",
          o.data ? "there are both --data and --tasks" : "nothing is measured");
  if (o.tasks.given()) {
    refuse_options_of(o.evaluation, "--tasks", context);
    o.tasks.adapter = o.adapter;
    return run_tasks(o.tasks, o.model, o.out, context);
  }
  refuse_options_of(o.tasks, "--data", context);
  require(o.model.has_value(), ErrorKind::kUsage, "command line",
          "MODEL is missing, whose loss is measured; see `lathe help eval`");
  o.evaluation.model = *o.model;
  o.evaluation.data = *o.data;
  o.evaluation.adapter = o.adapter;
  const Json result = measure(o.evaluation, context).to_json(o.evaluation);
  if (o.out) write_result(o, result, context.command_line());
  if (context.json) {
    context.print_json(result);
  } else {
    print(result, context.out);
  }
  return 0;
}

}  // namespace

Command eval_command() {
  Command eval = make_command<EvalOptions>(
      {.name = "eval",
       .summary = "measure what a model can do: tasks, or the loss of a token shard",
       .help =
           "With --tasks a model is asked the items of tasks: built-in ones (`lathe eval tasks`), whose data is looked for "
           "below\n--task-data, or task files (docs/tasks.md). OUT then has the items with what came back, the scores with "
           "their\nintervals, a receipt from which the run can be repeated, and a page; docs/evaluation.md explains them. MODEL is "
           "a folder\nor .gguf, or the address of a server with OpenAI's interface. A run that was stopped goes on with "
           "--resume.\nTasks with a rubric, such as mt_bench, ask another model, which --judge names, about each answer.\n\n"
           "With --data it reports the mean loss of a token shard in nats per token, bits per byte if the folder has a "
           "tokenizer,\nand the loss of each range of positions, in fp32. For a model that Lathe trained it repeats the "
           "validation: the same\nsamples, length and objective. A --seq-len beyond that of training shows how well a model "
           "handles longer texts.\n\n"
           "  lathe eval runs/demo/model --tasks sums.toml --out scores\n"
           "  lathe eval MODEL --tasks hellaswag,arc_easy --task-data data --shots 5 --out scores\n"
           "  lathe eval http://127.0.0.1:8000/v1 --model-name m --tasks gsm8k --out scores\n"
           "  lathe eval MODEL --adapter runs/sft/adapter --tasks gsm8k --out scores\n"
           "  lathe eval --tasks gsm8k --responses answers.jsonl --out scores\n"
           "  lathe eval MODEL --chat --tasks mt_bench --judge http://127.0.0.1:8000/v1 --judge-name j --out scores\n"
           "  lathe eval --tasks mine.toml --responses answers.jsonl --judge JUDGE --out scores\n"
           "  lathe eval --tasks arc_easy,mine.toml --shots 5 --render --out rendered\n"
           "  lathe eval --receipt scores/receipt.json --out again\n"
           "  lathe eval runs/demo/model --data runs/demo/data-valid\n"
           "  lathe eval runs/demo/model --data runs/demo/data-valid --samples 0\n"
           "  lathe eval runs/demo/model --data runs/demo/data-valid --seq-len 1024 --out "
           "long.json\n"},
      run_eval);
  return with_children(std::move(eval),
                       {eval_diff_command(), eval_make_command(), eval_runs_command(),
                        eval_signal_command(), eval_tasks_command()});
}

}  // namespace lathe
