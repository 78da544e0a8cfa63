// "gpt2". Unlike in its Hugging Face folder, matrices are stored [outputs, inputs].

#include "lathe/model/gguf/shared.h"

namespace lathe {
namespace {

using namespace gguf;

constexpr WeightRule kWeights[] = {
    {"position_embd", "position"},
    {"blk.{}.ffn_up", "layers.{}.ffn.up"},
    {"blk.{}.ffn_down", "layers.{}.ffn.down"},
};

}  // namespace

const GgufArchitecture& gguf_gpt2() {
  static const GgufArchitecture architecture = {
      .name = "gpt2",
      .families = {{gpt2_family}},
      .keys = {size_keys(), layer_norm_keys()},
      .weights = {ends(), block_norms(), fused_attention(), kWeights},
  };
  return architecture;
}

}  // namespace lathe
