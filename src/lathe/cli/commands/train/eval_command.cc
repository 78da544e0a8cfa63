// lathe eval: the loss of a model over a token shard, as a whole and by position in the text. Without
// options a model that Lathe trained is measured as its training validated it. Position t of a sample
// has t tokens before it: a model that was trained on shorter texts shows here what it makes of
// longer ones.

#include <limits>
#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/train/train_display.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/config/json_text.h"
#include "lathe/io/json_file.h"
#include "lathe/io/manifest.h"
#include "lathe/model/folder.h"
#include "lathe/train/recipe.h"
#include "lathe/train/validation.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct EvalOptions {
  std::string model, data;
  std::optional<int64_t> seq_len, samples;
  int64_t batch_size = 8, buckets = 16;
  std::optional<std::string> out;

  template <class V>
  void visit(V& v) {
    v.positional("model", model, "folder of a model or of a checkpoint");
    v.field("data", data, "token shard: the prefix of a .bin and .idx", required());
    v.field("seq_len", seq_len,
            "tokens of a sample (default: the length it was trained with, else the model's "
            "max_position_embeddings); may be more than that",
            at_least(1));
    v.field("samples", samples,
            "samples read, from the beginning of the shard; 0 reads all (default: as many as the "
            "validations of its training, all with --seq-len or when it was made elsewhere)",
            at_least(0));
    v.field("batch_size", batch_size, "samples computed at once", between(1, 1 << 20));
    v.field("buckets", buckets, "stretches of positions whose loss is told apart", at_least(1));
    v.field("out", out, "also write the result into this file, for `lathe plot --x position`");
  }
};

// How the model was trained, from its manifest; nullopt for one that was made elsewhere.
std::optional<Recipe> training_recipe(const fs::path& model) {
  const auto path = find_manifest(model);
  if (!path) return std::nullopt;
  const Manifest manifest = read_manifest(*path);
  if (manifest.recipe.empty()) return std::nullopt;
  Json tree = parse_json(manifest.recipe, path->string());
  if (!tree.is_object() || !tree.contains("train")) return std::nullopt;  // of another command
  tree["model"] = {{"from", model.string()}};  // what it began from may be gone
  return read_recipe(tree);
}

std::vector<int32_t> bytes_of_tokens(const fs::path& model, const Log& log) {
  if (fs::exists(model / "tokenizer.json")) return load_tokenizer(model.string()).byte_lengths();
  log.info("{} has no tokenizer.json, so bits per byte are not known", model.string());
  return {};
}

ValidationOptions validation_options(const EvalOptions& o, const ModelConfig& config,
                                     CommandContext& context) {
  const std::optional<Recipe> trained = training_recipe(o.model);
  require(trained || config.body == "decoder", ErrorKind::kConfig, o.model,
          "is of body \"{}\" and does not say how it was trained, expected \"decoder\": only there "
          "every token is predicted from those before it; for others give data.valid to `lathe "
          "train`",
          config.body);
  const ObjectiveConfig objective = trained ? trained->objective : ObjectiveConfig();
  ValidationOptions options{
      .batch_size = o.batch_size, .vocab_size = config.vocab_size, .buckets = o.buckets};
  options.seq_len =
      o.seq_len.value_or(trained ? trained->train.seq_len : config.max_position_embeddings);
  const bool as_trained = trained && !o.seq_len;
  options.samples = o.samples.value_or(as_trained ? trained->validation_samples() : 0);
  options.document_mask = trained && trained->data.document_mask;
  ModelConfig any_length = config;  // the model tells of positions that it lacks
  any_length.max_position_embeddings = std::numeric_limits<int32_t>::max();
  options.objective = make_objective(objective, any_length, options.seq_len);
  if (objective_name(objective, config) == "next_token")
    options.token_bytes = bytes_of_tokens(o.model, context.log);
  return options;
}

ValidationLoss measure(const EvalOptions& o, const ValidationSet& set, CommandContext& context) {
  const auto model = load_model(o.model, {.dtype = DType::kF32, .log = context.log});
  Progress progress(context.progress, "evaluating", static_cast<double>(set.samples()), "samples");
  ValidationLoss loss = set.measure(*model, [&](int64_t done) {
    progress.update(static_cast<double>(done), "");
    throw_if_interrupted();
  });
  progress.finish();
  return loss;
}

Json to_json(const EvalOptions& o, int64_t seq_len, const ValidationSet& set,
             const ValidationLoss& loss) {
  Json result = {{"model", o.model},
                 {"data", o.data},
                 {"seq_len", seq_len},
                 {"samples", set.samples()},
                 {"samples_in_shard", (set.shard().num_tokens() - 1) / seq_len},
                 {"tokens", loss.labels()},
                 {"loss", loss.loss()}};
  if (const auto bits = loss.bits_per_byte()) result["bits_per_byte"] = *bits;
  for (const auto& [kind, sum] : loss.kinds) result["by_kind"][kind] = sum.mean();
  result["by_position"] = Json::array();
  for (const ValidationLoss::Bucket& b : loss.buckets)
    result["by_position"].push_back({{"from", b.begin}, {"to", b.end}, {"loss", b.mean()}});
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
  add_input(manifest, o.model, "model");
  add_input(manifest, o.data, "shard");
  add_output(manifest, *o.out, "evaluation");
  write_manifest(manifest_path(*o.out, false), manifest);
}

int run_eval(const EvalOptions& o, CommandContext& context) {
  const ModelConfig config = read_model_config(o.model);
  const ValidationOptions options = validation_options(o, config, context);
  const ValidationSet set(NamedShard{.name = "data", .prefix = o.data}, options);
  const Json result = to_json(o, options.seq_len, set, measure(o, set, context));
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
  return make_command<EvalOptions>(
      {.name = "eval",
       .summary = "measure a model's loss on a token shard, by position in the text, too",
       .help =
           "Mean loss in nats a token, bits per byte where the folder has a tokenizer, and the "
           "loss of each stretch of\n"
           "positions, in fp32. Of a model that Lathe trained it repeats the validation: the same "
           "samples, length and objective.\n"
           "With a --seq-len beyond that of training it shows how a model bears longer texts.\n\n"
           "  lathe eval runs/demo/model --data runs/demo/data-valid\n"
           "  lathe eval runs/demo/model --data runs/demo/data-valid --samples 0\n"
           "  lathe eval runs/demo/model --data runs/demo/data-valid --seq-len 1024 --out "
           "long.json\n"},
      run_eval);
}

}  // namespace lathe
