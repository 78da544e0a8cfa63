// "llama": Llama, Mistral without a window, Mixtral, and MiniMind 2. The rows of queries and keys are in the
// order of the first implementation, which rotated neighbouring channels.

#include "lathe/model/gguf/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using namespace gguf;

// Of MiniMind 2, models with experts have one that all tokens share, which Llama files do not know.
bool is_dense_minimind_2(const ModelConfig& c) {
  return c.attention.qk_norm == "none" && !c.moe.enabled();
}

bool has_experts(const GgufDescription& theirs) { return integer(theirs, "expert_count") > 0; }

void read(const GgufDescription& theirs, Json& ours) {
  ours["attention_bias"] = theirs.has("blk.0.attn_q.bias");
  ours["mlp_bias"] = theirs.has("blk.0.ffn_down.bias");
  read_rotary_width(theirs, ours);
  read_rope_scaling(theirs, ours);
}

void write(const ModelConfig& config, GgufDescription& theirs) {
  write_rotary_width(config, theirs);
  write_rope_scaling(config, theirs);
  if (!config.moe.enabled()) {
    theirs.keys.erase("expert_count");
    theirs.keys.erase("expert_used_count");
  }
}

}  // namespace

const GgufArchitecture& gguf_llama() {
  static const GgufArchitecture architecture = {
      .name = "llama",
      .families = {{mixtral_family, has_experts},
                   {llama_family},
                   {mistral_family},
                   {minimind_family, nullptr, is_dense_minimind_2}},
      .keys = {size_keys(), kv_head_keys(), head_width_keys(), rms_norm_keys(), rope_base_keys(),
               vocabulary_keys(), expert_keys()},
      .weights = {ends(), block_norms(), paired_attention(), gated_ffn(), experts()},
      .read = read,
      .write = write,
  };
  return architecture;
}

}  // namespace lathe
