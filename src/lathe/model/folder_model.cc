#include "lathe/model/folder_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/io/bitsandbytes.h"
#include "lathe/io/json_file.h"
#include "lathe/model/family.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// The key stands in config.json whether or not the modules were saved: transformers drops them.
bool lacks_mtp_modules(const ArrayReader& weights, const Family& family, const ModelConfig& c) {
  if (c.num_nextn_predict_layers == 0) return false;
  for (const auto& table : family.weights)
    for (const WeightRule& rule : table)
      if (rule.ours == kMtpJoin)
        return find_array(weights, name_on_disk(rule, c.num_hidden_layers) + ".weight", family) ==
               nullptr;
  return false;
}

// What the arrays that lie in a folder say beside its config.json.
void follow_weights(const ArrayReader& weights, const Family& family, ModelConfig& c) {
  if (lacks_mtp_modules(weights, family, c)) c.num_nextn_predict_layers = 0;
  // A decoder that is named as one without a head may have been saved with it nevertheless.
  if (const auto head = matrix_on_disk(family, "head"); !c.lm_head && c.body_traits().causal)
    c.lm_head = head && find_array(weights, *head, family) != nullptr;
  if (!c.tie_word_embeddings || !has_head_of_its_own(weights, family)) return;
  c.logit_scale = c.head_scale();
  c.tie_word_embeddings = c.scale_tied_head = false;
}

// Small models often keep the special ids of the family's usual tokenizer; an id that cannot occur
// means none.
void drop_impossible_ids(ModelConfig& c) {
  std::vector<int64_t> ends = c.eos_token_ids();
  std::erase_if(ends, [&](int64_t id) { return id >= c.vocab_size; });
  for (const auto& [key, member] : kSpecialIds)
    if (auto& id = c.*member; id && *id >= c.vocab_size) id.reset();
  if (ends.empty()) return c.other_eos_token_ids.clear();
  c.eos_token_id = ends.front();
  c.other_eos_token_ids.assign(ends.begin() + 1, ends.end());
}

void warn_of_unknown_keys(const Family& family, const Json& json, const fs::path& path,
                          const Log& log) {
  const auto unknown = unknown_config_keys(family, json);
  if (!unknown.empty())
    log.warn("{}: these keys are unknown for {} models and are ignored: {}", path.string(),
             family.name, join(unknown, ", "));
}

const Family& family_of(const Json& json, const fs::path& path) {
  require(json.is_object() && json.contains("model_type") && json["model_type"].is_string(),
          ErrorKind::kFormat, path.string(),
          "no model_type; expected the config.json of a Hugging Face model folder");
  return find_family(json["model_type"].get<std::string>());
}

}  // namespace

ModelConfig FolderModel::config(const Log& log) const {
  const fs::path path = folder_ / "config.json";
  const Json json = read_json_file(path);
  const Family& family = family_of(json, path);
  try {
    ModelConfig config = read_family_config(family, json);
    drop_impossible_ids(config);
    validate(config);
    const bool asks =
        config.tie_word_embeddings || config.num_nextn_predict_layers > 0 || !config.lm_head;
    if (asks && has_weights(folder_)) follow_weights(*open_weights(folder_), family, config);
    warn_of_unknown_keys(family, json, path, log);
    return config;
  } catch (const nlohmann::json::exception& e) {  // a missing key or a value of another type
    const std::string_view what = e.what();       // "[json.exception.out_of_range.403] key …"
    fail(ErrorKind::kFormat, path.string(),
         "a key that {} models need is missing or has the wrong type: {}; compare the file with "
         "that of a published model",
         family.name, what.substr(std::min(what.size(), what.find("] ") + 2)));
  }
}

// `model` was made from config(), or has other values for training only.
StoredWeights FolderModel::weights(Transformer& model) const {
  const fs::path path = folder_ / "config.json";
  const Json json = read_json_file(path);
  std::shared_ptr<const ArrayReader> arrays = open_weights(folder_);
  if (is_bitsandbytes(json)) arrays = std::make_shared<BitsandbytesReader>(arrays);
  return find_weights(model, family_of(json, path), std::move(arrays));
}

}  // namespace lathe
