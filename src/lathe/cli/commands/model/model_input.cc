#include "lathe/cli/commands/model/model_input.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/config/read_write.h"
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
  return config;
}

}  // namespace lathe
