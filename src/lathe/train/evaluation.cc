#include "lathe/train/evaluation.h"

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "lathe/config/json_text.h"
#include "lathe/io/manifest.h"
#include "lathe/model/adapter/applied_adapters.h"
#include "lathe/model/load_model.h"
#include "lathe/text/tokenizer.h"
#include "lathe/train/recipe.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

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
  if (has_tokenizer(model.string())) return load_tokenizer(model.string()).byte_lengths();
  log.info("{} has no tokenizer, so bits per byte are not known", model.string());
  return {};
}

ValidationOptions validation_options(const EvaluationConfig& o, const ModelConfig& config,
                                     const Log& log) {
  const std::optional<Recipe> trained = training_recipe(o.model);
  const bool on_text = trained && !trained->learns_answers();
  require(
      on_text || config.body == "decoder", ErrorKind::kConfig, o.model,
      "has body \"{}\" and does not say how it was trained on text, expected \"decoder\": only a decoder "
      "predicts every token from those before it; for others give data.valid to `lathe train`",
      config.body);
  const ObjectiveConfig objective = on_text ? trained->objective : ObjectiveConfig();
  ValidationOptions options{
      .batch_size = o.batch_size, .vocab_size = config.vocab_size, .buckets = o.buckets};
  options.seq_len =
      o.seq_len.value_or(trained ? trained->train.seq_len : config.max_position_embeddings);
  const bool as_trained = trained && !o.seq_len;
  options.samples = o.samples.value_or(as_trained ? trained->validation_samples() : 0);
  options.document_mask = trained && trained->data.document_mask;
  ModelConfig any_length = config;  // the model tells of positions that it lacks
  any_length.max_position_embeddings = std::numeric_limits<int32_t>::max();
  options.format = make_row_format(objective, any_length, options.seq_len);
  if (options.format->is_plain_text()) options.token_bytes = bytes_of_tokens(o.model, log);
  return options;
}

}  // namespace

Evaluation evaluate(const EvaluationConfig& config, const Log& log,
                    const EvaluationProgress& progress) {
  const ValidationOptions options =
      validation_options(config, read_model_config(config.model), log);
  const ValidationSet set(NamedShard{.name = "data", .prefix = config.data}, options);
  const auto model = load_model(config.model, {.dtype = DType::kF32, .log = log});
  std::vector<std::shared_ptr<const Adapter>> adapters;
  for (const std::string& each : config.adapter)
    adapters.push_back(load_adapter(each, *model, log));
  const AppliedAdapters acting(std::move(adapters));
  return {.seq_len = options.seq_len,
          .samples = set.samples(),
          .samples_in_shard = (set.shard().num_tokens() - 1) / options.seq_len,
          .loss = set.measure(
              *model,
              [&](int64_t done) {
                if (progress) progress(done, set.samples());
              },
              config.adapter.empty() ? nullptr : &acting)};
}

Json Evaluation::to_json(const EvaluationConfig& config) const {
  Json result = {{"model", config.model},   {"adapter", config.adapter},
                 {"data", config.data},     {"seq_len", seq_len},
                 {"samples", samples},      {"samples_in_shard", samples_in_shard},
                 {"tokens", loss.labels()}, {"loss", loss.loss()}};
  if (const auto bits = loss.bits_per_byte()) result["bits_per_byte"] = *bits;
  for (const auto& [kind, sum] : loss.kinds) result["by_kind"][kind] = sum.mean();
  result["by_position"] = Json::array();
  for (const ValidationLoss::Bucket& b : loss.buckets)
    result["by_position"].push_back({{"from", b.begin}, {"to", b.end}, {"loss", b.mean()}});
  return result;
}

}  // namespace lathe
