// Mistral 7B and its successors: Llama with a sliding window in every layer, or in those
// that layer_types names.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"rms_norm_eps", "norm.eps", nullptr, "1e-6"},
    {"sliding_window", "sliding_window", nullptr, "4096"},
    {"num_key_value_heads", "num_key_value_heads", nullptr, "8"},
};

constexpr std::string_view kHookKeys[] = {"layer_types"};

// transformers reads a folder with layer_types as a Ministral, which differs in nothing else.
void read(const Json& theirs, Json& ours) {
  if (const Json types = first_of(theirs, {"layer_types"}); !types.is_null())
    ours["layer_types"] = types;
  read_rope(theirs, ours);
}

void write(const ModelConfig& config, Json& theirs) {
  const ModelConfig c = resolved(config);
  if (c.has_layer("sliding_attention") && c.has_layer("full_attention"))
    theirs["layer_types"] = c.layer_types;
  write_rope(config, theirs);
}

}  // namespace

const Family& mistral_family() {
  static const Family family = {
      .name = "mistral",
      .architecture = "MistralForCausalLM",
      .summary = "RMSNorm, rotary positions, GQA, SwiGLU, sliding window",
      .source = "Jiang et al. 2023, arXiv:2310.06825",
      .defaults = [] { return ModelConfig(); },
      .keys = {standard_keys(), kKeys},
      .hook_keys = {rope_keys(), kHookKeys},
      .weights = {decoder_ends(), pre_norms(), split_attention(), split_gated_mlp()},
      .read = read,
      .write = write,
  };
  return family;
}

}  // namespace lathe
