// lathe eval: train/evaluation.h, shown.

#include <nlohmann/json.hpp>

#include "lathe/cli/commands/eval/eval.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/json_file.h"
#include "lathe/io/manifest.h"
#include "lathe/train/evaluation.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct EvalOptions {
  EvaluationConfig evaluation;
  std::optional<std::string> out;

  void visit(Visitor& v) {
    evaluation.visit(v);
    v.field("out", out, "also write the result to this file, for `lathe plot --x position`");
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

int run_eval(const EvalOptions& o, CommandContext& context) {
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
       .summary = "measure a model's loss on a token shard, in total and by position",
       .help = "Reports the mean loss in nats per token, bits per byte if the folder has a "
               "tokenizer, and the loss of each\n"
               "range of positions, in fp32. For a model that Lathe trained it repeats the "
               "validation: the same samples,\n"
               "length and objective. A --seq-len beyond that of training shows how well a model "
               "handles longer texts.\n\n"
               "  lathe eval runs/demo/model --data runs/demo/data-valid\n"
               "  lathe eval runs/demo/model --data runs/demo/data-valid --samples 0\n"
               "  lathe eval runs/demo/model --data runs/demo/data-valid --seq-len 1024 --out "
               "long.json\n"},
      run_eval);
  return with_children(std::move(eval), {eval_make_command()});
}

}  // namespace lathe
