// lathe eval: the loss of a model over a token shard, as a whole and by position in the text. Every
// sample is a stretch of seq_len tokens read from its beginning, so position t has t tokens before
// it: a model that was trained on shorter texts shows here what it makes of longer ones.

#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands.h"
#include "lathe/cli/interrupt.h"
#include "lathe/cli/train_hooks.h"
#include "lathe/io/json_file.h"
#include "lathe/io/manifest.h"
#include "lathe/model/folder.h"
#include "lathe/ops/cross_entropy.h"
#include "lathe/train/data_loader.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct EvalOptions {
  std::string model, data;
  std::optional<int64_t> seq_len, batches;
  int64_t batch_size = 8, buckets = 16;
  std::optional<std::string> out;

  template <class V>
  void visit(V& v) {
    v.positional("model", model, "folder of the model, a decoder");
    v.field("data", data, "token shard: the prefix of a .bin and .idx", required());
    v.field(
        "seq_len", seq_len,
        "tokens of a sample (default: the model's max_position_embeddings); may be more than it "
        "was trained with",
        at_least(1));
    v.field("batch_size", batch_size, "samples computed at once", between(1, 1 << 20));
    v.field("batches", batches, "read only so many batches (default: the whole shard)",
            at_least(1));
    v.field("buckets", buckets, "stretches of positions whose loss is told apart", at_least(1));
    v.field("out", out, "also write the result into this file, for `lathe plot --x position`");
  }
};

// Positions [begin, end) of every sample.
struct Bucket {
  int64_t begin = 0, end = 0, labels = 0;
  double sum = 0;  // of the losses
  double loss() const { return sum / static_cast<double>(labels); }
};

std::vector<Bucket> make_buckets(int64_t seq_len, int64_t count) {
  count = std::min(count, seq_len);
  std::vector<Bucket> out;
  for (int64_t i = 0; i < count; ++i)
    out.push_back({seq_len * i / count, seq_len * (i + 1) / count});
  return out;
}

void add_batch(Transformer& model, const Batch& batch, std::vector<Bucket>& buckets) {
  const Forward f;
  const Tensor hidden = model.hidden(f, batch.ids).value;
  const ops::OutputHead head = model.head(f);
  for (Bucket& b : buckets) {
    const int64_t width = b.end - b.begin;
    const Tensor labels = batch.labels.narrow(1, b.begin, width).clone();
    b.sum += ops::linear_cross_entropy(Var(hidden.narrow(1, b.begin, width).clone()), head, labels,
                                       {.normalizer = 1.0})
                 .value.item();
    b.labels += labels.numel();
  }
}

std::vector<int32_t> bytes_of_tokens(const fs::path& model, const Log& log) {
  if (fs::exists(model / "tokenizer.json")) return byte_lengths(load_tokenizer(model.string()));
  log.info("{} has no tokenizer.json, so bits per byte are not known", model.string());
  return {};
}

struct Totals {
  std::vector<Bucket> buckets;
  int64_t bytes = 0;

  double sum() const {
    double all = 0;
    for (const Bucket& b : buckets) all += b.sum;
    return all;
  }
  int64_t labels() const {
    int64_t all = 0;
    for (const Bucket& b : buckets) all += b.labels;
    return all;
  }
};

Totals measure(const EvalOptions& o, int64_t seq_len, CommandContext& context) {
  const auto model = load_model(o.model, {.dtype = DType::kF32});
  const std::vector<int32_t> token_bytes = bytes_of_tokens(o.model, context.log);
  const TokenShard shard(o.data);
  const int64_t samples = (shard.num_tokens() - 1) / seq_len;
  const DataLoader loader(shard, {.batch_size = std::clamp<int64_t>(samples, 1, o.batch_size),
                                  .seq_len = seq_len,
                                  .vocab_size = model->config().vocab_size,
                                  .shuffle = false});
  const int64_t whole = samples / loader.batch_size();
  const int64_t batches = std::min(o.batches.value_or(whole), whole);
  Totals totals{make_buckets(seq_len, o.buckets)};
  Progress progress(context.progress, "evaluating", static_cast<double>(batches), "batches");
  for (int64_t i = 0; i < batches; ++i) {
    throw_if_interrupted();
    const Batch batch = loader.batch(i);
    add_batch(*model, batch, totals.buckets);
    for (const int32_t label : batch.labels.span<int32_t>())
      if (static_cast<size_t>(label) < token_bytes.size())
        totals.bytes += token_bytes[static_cast<size_t>(label)];
    progress.update(static_cast<double>(i + 1), "");
  }
  progress.finish();
  return totals;
}

Json to_json(const EvalOptions& o, int64_t seq_len, const Totals& totals) {
  Json result = {{"model", o.model},
                 {"data", o.data},
                 {"seq_len", seq_len},
                 {"tokens", totals.labels()},
                 {"loss", totals.sum() / static_cast<double>(totals.labels())}};
  if (totals.bytes > 0)
    result["bits_per_byte"] = totals.sum() / std::log(2.0) / static_cast<double>(totals.bytes);
  result["by_position"] = Json::array();
  for (const Bucket& b : totals.buckets)
    result["by_position"].push_back({{"from", b.begin}, {"to", b.end}, {"loss", b.loss()}});
  return result;
}

void print(const Json& result, std::ostream& out) {
  out << fmt::format("{} tokens in samples of {}: loss {:.4f}", result["tokens"].get<int64_t>(),
                     result["seq_len"].get<int64_t>(), result["loss"].get<double>());
  if (result.contains("bits_per_byte"))
    out << fmt::format(", {:.4f} bits per byte", result["bits_per_byte"].get<double>());
  out << "\nposition       loss\n";
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
  require(config.body == "decoder", ErrorKind::kConfig, o.model,
          "is of body \"{}\", expected \"decoder\": only there every token is predicted from those "
          "before it; for others give data.valid to `lathe train`",
          config.body);
  const int64_t seq_len = o.seq_len.value_or(config.max_position_embeddings);
  const Json result = to_json(o, seq_len, measure(o, seq_len, context));
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
       .help = "Mean loss in nats a token, bits per byte where the folder has a tokenizer, and the "
               "loss of each stretch of\n"
               "positions, in fp32. With a --seq-len beyond that of training it shows how a model "
               "bears longer texts.\n\n"
               "  lathe eval runs/demo/model --data runs/demo/data-valid --seq-len 256\n"
               "  lathe eval runs/demo/model --data runs/demo/data-valid --seq-len 1024 --out "
               "long.json\n"},
      run_eval);
}

}  // namespace lathe
