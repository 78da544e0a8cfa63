// "glm4": a norm before and after every branch, gate and up in one matrix.

#include "lathe/model/gguf/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using namespace gguf;

constexpr WeightRule kPostNorms[] = {
    {"blk.{}.post_attention_norm", "layers.{}.attention_post_norm"},
    {"blk.{}.post_ffw_norm", "layers.{}.ffn_post_norm"},
};

void read(const GgufDescription& theirs, Json& ours) {
  ours["attention_bias"] = theirs.has("blk.0.attn_q.bias");
  read_rotary_width(theirs, ours);
  read_rope_scaling(theirs, ours);
}

void write(const ModelConfig& config, GgufDescription& theirs) {
  write_rotary_width(config, theirs);
  write_rope_scaling(config, theirs);
}

}  // namespace

const GgufArchitecture& gguf_glm4() {
  static const GgufArchitecture architecture = {
      .name = "glm4",
      .families = {{glm4_family}},
      .keys = {size_keys(), kv_head_keys(), head_width_keys(), rms_norm_keys(), rope_base_keys()},
      .weights = {ends(), block_norms(), kPostNorms, attention(), fused_gated_ffn()},
      .read = read,
      .write = write,
  };
  return architecture;
}

}  // namespace lathe
