// "gpt2". Unlike in its Hugging Face folder, matrices are stored [outputs, inputs].

#include "lathe/model/gguf/shared.h"

namespace lathe {
namespace {

using namespace gguf;

constexpr WeightRule kPosition[] = {{"position_embd", "position"}};

}  // namespace

const GgufArchitecture& gguf_gpt2() {
  static const GgufArchitecture architecture = {
      .name = "gpt2",
      .families = {{gpt2_family}},
      .keys = {size_keys(), layer_norm_keys()},
      .weights = {ends(), block_norms(), fused_attention(), plain_ffn(), kPosition},
  };
  return architecture;
}

}  // namespace lathe
