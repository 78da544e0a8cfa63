// "falcon": Falcon with rotary positions. The fused projection has all queries, then all keys, then
// all values. `attn_norm` is the norm of the feed-forward part; that of attention is `attn_norm_2` if
// it is another one.

#include "lathe/model/gguf/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using namespace gguf;

constexpr WeightRule kTwoNorms[] = {
    {"blk.{}.attn_norm", "layers.{}.ffn_norm"},
    {"blk.{}.attn_norm_2", "layers.{}.attention_norm"},
};

std::span<const WeightRule> norms_of(const ModelConfig& config) {
  return config.parallel_block == "two_norms" ? kTwoNorms : block_norms();
}

void read(const GgufDescription& theirs, Json& ours) {
  ours["parallel_block"] = theirs.has("blk.0.attn_norm_2.weight") ? "two_norms" : "shared_norm";
  read_rope_scaling(theirs, ours);
}

void write(const ModelConfig& config, GgufDescription& theirs) {
  theirs.keys["tensor_data_layout"] = "jploski";  // how llama.cpp calls that order of rows
  write_rope_scaling(config, theirs);
}

}  // namespace

const GgufArchitecture& gguf_falcon() {
  static const GgufArchitecture architecture = {
      .name = "falcon",
      .families = {{falcon_family}},
      .keys = {size_keys(), kv_head_keys(), layer_norm_keys(), rope_base_keys()},
      .weights = {ends(), fused_attention(), plain_ffn()},
      .weights_of = norms_of,
      .read = read,
      .write = write,
  };
  return architecture;
}

}  // namespace lathe
