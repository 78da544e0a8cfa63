#include "lathe/cli/commands/model/model_input.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lathe/base/error.h"
#include "lathe/config/read_write.h"
#include "lathe/infer/sampler/samplers.h"
#include "lathe/io/json_file.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

std::vector<int32_t> id_row(const Json& row, std::string_view key) {
  require(row.is_array(), ErrorKind::kData, key, "expected a list of token ids, got {}",
          row.type_name());
  std::vector<int32_t> ids;
  for (const Json& x : row) {
    require(x.is_number_integer() && x.get<int64_t>() >= std::numeric_limits<int32_t>::min() &&
                x.get<int64_t>() <= std::numeric_limits<int32_t>::max(),
            ErrorKind::kData, key, "{} is not a token id", x.dump());
    ids.push_back(x.get<int32_t>());
  }
  return ids;
}

// "num_beams" as an option.
std::string option_of(std::string_view key) {
  std::string option = "--" + std::string(key);
  std::ranges::replace(option, '_', '-');
  return option;
}

// What says how tokens are drawn, and so has no effect on a search.
std::vector<std::string> keys_of_draws(const GenerationConfig& config) {
  std::vector<std::string> keys = {"seed"};
  for (const SamplerInfo& sampler : kSamplers) {
    if (!sampler.samples_only) continue;
    std::istringstream names{std::string(sampler.keys)};
    for (std::string key; std::getline(names >> std::ws, key, ',');) keys.push_back(key);
  }
  if (config.contrastive()) std::erase(keys, "top_k");  // its candidates
  return keys;
}

void refuse_without_effect(const GenerationConfig& config, const ModelConfig& model,
                           const CommandContext& context) {
  const auto given = [&](std::string_view key) {
    return std::ranges::find(context.given, key) != context.given.end();
  };
  for (const char* key :
       {"num_beam_groups", "length_penalty", "diversity_penalty", "early_stopping"})
    require(config.num_beams > 1 || !given(key), ErrorKind::kUsage, option_of(key),
            "has no effect without beams; set --num-beams to 2 or more, or leave it out");
  for (const int64_t id : config.eos_token_id)
    require(!given("eos_token_id") || id < model.vocab_size, ErrorKind::kUsage, "--eos-token-id",
            "{} is outside the vocabulary of {}; give the id of a token", id, model.vocab_size);
  if (!config.searches()) return;
  for (const std::string& key : keys_of_draws(config))
    require(!given(key) || (key == "temperature" && config.temperature == 0), ErrorKind::kUsage,
            option_of(key), "has no effect on {}, which draws nothing; leave one of them out",
            config.num_beams > 1 ? "beam search (--num-beams)"
                                 : "contrastive search (--penalty-alpha)");
}

// The values of these keys as they are without a file.
Json defaults_of(const std::vector<std::string>& keys) {
  GenerationConfig defaults;
  const Json all = write_config(defaults);
  Json some = Json::object();
  for (const std::string& key : keys) some[key] = all.at(key);
  return some;
}

}  // namespace

IdRows id_rows(const Json& tree, std::string_view key) {
  require(tree.is_object() && tree.contains(key), ErrorKind::kData, key,
          "the input has no '{}'; expected {{\"{}\": [[1, 2, 3], …]}}", key, key);
  const Json& value = tree.at(std::string(key));
  require(value.is_array() && !value.empty(), ErrorKind::kData, key,
          "expected a non-empty list of rows");
  if (!value[0].is_array()) return {id_row(value, key)};
  IdRows rows;
  for (const Json& row : value) rows.push_back(id_row(row, key));
  return rows;
}

Tensor id_matrix(const IdRows& rows, std::string_view key) {
  const size_t width = rows[0].size();
  require(width > 0, ErrorKind::kData, key, "row 0 is empty");
  Tensor t({static_cast<int64_t>(rows.size()), static_cast<int64_t>(width)}, DType::kI32);
  int32_t* out = t.data<int32_t>();
  for (size_t r = 0; r < rows.size(); ++r) {
    require(rows[r].size() == width, ErrorKind::kData, key,
            "row {} has {} ids, row 0 has {}; pad them to one length", r, rows[r].size(), width);
    out = std::copy(rows[r].begin(), rows[r].end(), out);
  }
  return t;
}

void visit_weights(Visitor& v, std::string& weights) {
  v.choice(
      "weights", weights, {"fp32", "native"},
      "of a quantised model: fp32 decodes them, native computes on the blocks, which is faster "
      "and rounds activations to 8 bits");
}

QuantisedWeights quantised_weights(const std::string& weights) {
  return weights == "native" ? QuantisedWeights::kNative : QuantisedWeights::kDecoded;
}

void visit_cache_precision(Visitor& v, std::optional<std::string>& precision) {
  v.choice("cache_precision", precision, cache_precision_names(),
           "how keys and values of the text are kept: without it as they are computed; int8 takes "
           "about half the memory of bf16 and rounds them (docs/inference.md)");
}

std::optional<DType> cache_dtype(const std::optional<std::string>& precision) {
  if (!precision) return std::nullopt;
  return dtype_of_cache_precision(*precision);
}

GenerationConfig generation_of(const std::string& folder, const GenerationConfig& line,
                               const ModelConfig& model, const CommandContext& context) {
  GenerationConfig config;
  const std::filesystem::path path = std::filesystem::path(folder) / "generation_config.json";
  if (std::filesystem::exists(path))
    config = read_generation_config(read_json_file(path), path.string());
  if (!config.eos_token_id.empty())
    for (const int64_t id : model.eos_token_ids())
      if (std::ranges::find(config.eos_token_id, id) == config.eos_token_id.end())
        config.eos_token_id.push_back(id);
  const Json options = write_config(line);
  Json given = Json::object();
  for (const std::string& key : context.given)
    if (options.contains(key)) given[key] = options.at(key);
  read_config(config, given, "command line");
  refuse_without_effect(config, model, context);
  if (config.searches())  // how the folder would draw
    read_config(config, defaults_of(keys_of_draws(config)), path.string());
  return config;
}

}  // namespace lathe
