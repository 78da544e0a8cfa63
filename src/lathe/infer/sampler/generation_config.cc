#include "lathe/infer/sampler/generation_config.h"

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/config/read_write.h"

namespace lathe {

using Json = nlohmann::ordered_json;

GenerationConfig read_generation_config(const Json& tree, std::string_view where) {
  require(tree.is_object(), ErrorKind::kConfig, where, "expected a JSON object, got {}",
          tree.type_name());
  Json known = Json::object();
  for (const auto& [key, value] : tree.items())
    if (!value.is_null()) known[key] = value;
  if (const auto eos = known.find("eos_token_id"); eos != known.end() && eos->is_number())
    *eos = Json::array({*eos});
  GenerationConfig config;
  std::vector<std::string> unknown;
  read_config(config, known, where, {.unknown = &unknown});
  if (const auto sample = known.find("do_sample"); sample != known.end()) {
    require(sample->is_boolean(), ErrorKind::kConfig, where,
            "do_sample is {}, expected true or false", sample->dump());
    if (!sample->get<bool>()) config.temperature = 0;
  }
  return config;
}

Json write_generation_config(const GenerationConfig& config) {
  const Json all = write_config(config), defaults = write_config(GenerationConfig());
  Json out = Json::object();
  out["do_sample"] = !config.greedy();
  // transformers knows sampling with its own keys only; the rest belongs to a request, not to a
  // model.
  for (const char* key :
       {"temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty",
        "no_repeat_ngram_size", "max_new_tokens", "eos_token_id"}) {
    const bool greedy_temperature = std::string_view(key) == "temperature" && config.greedy();
    if (all[key] != defaults[key] && !greedy_temperature) out[key] = all[key];
  }
  return out;
}

}  // namespace lathe
