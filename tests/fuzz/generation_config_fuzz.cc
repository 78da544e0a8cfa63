#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "lathe/config/json_text.h"
#include "lathe/config/read_write.h"
#include "lathe/infer/sampler/generation_config.h"

namespace lathe::fuzz {

void check(std::string_view bytes) {
  const GenerationConfig config = read_generation_config(parse_json(bytes, "f"), "f");
  read_generation_config(write_config(config), "again");
}

std::vector<Seed> seeds() {
  return {{"sampling", R"({"do_sample": true, "temperature": 0.6, "top_k": 50, "top_p": 0.9,
"min_p": null, "repetition_penalty": 1.1, "eos_token_id": [2, 7], "max_new_tokens": 64, "seed": 3})"},
          {"shaped",
           R"({"mirostat": 2, "mirostat_tau": 4.5, "xtc_probability": 0.5, "dynatemp_range": 0.3,
"logit_bias": {"15": -100, "7": 2.5}, "sampler_order": ["logit_bias", "xtc", "dynamic_temperature", "mirostat"]})"},
          {"greedy", R"({"do_sample": false, "eos_token_id": 2})"}};
}

}  // namespace lathe::fuzz
