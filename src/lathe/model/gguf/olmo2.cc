// "olmo2": norms on what the branches give.

#include "lathe/model/gguf/shared.h"

namespace lathe {
namespace {

using namespace gguf;

constexpr WeightRule kNorms[] = {
    {"blk.{}.post_attention_norm", "layers.{}.attention_norm"},
    {"blk.{}.post_ffw_norm", "layers.{}.ffn_norm"},
};

}  // namespace

const GgufArchitecture& gguf_olmo2() {
  static const GgufArchitecture architecture = {
      .name = "olmo2",
      .families = {{olmo2_family}},
      .keys = {size_keys(), kv_head_keys(), rms_norm_keys(), rope_base_keys()},
      .weights = {ends(), kNorms, attention(), gated_ffn()},
      .read = read_rope_scaling,
      .write = write_rope_scaling,
  };
  return architecture;
}

}  // namespace lathe
