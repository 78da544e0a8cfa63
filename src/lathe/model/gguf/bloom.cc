// "bloom". The fused projection has all queries, then all keys, then all values.

#include "lathe/model/gguf/shared.h"

namespace lathe {
namespace {

using namespace gguf;

constexpr WeightRule kEmbeddingNorm[] = {{"token_embd_norm", "embedding_norm"}};

}  // namespace

const GgufArchitecture& gguf_bloom() {
  static const GgufArchitecture architecture = {
      .name = "bloom",
      .families = {{bloom_family}},
      .keys = {size_keys(), kv_head_keys(), layer_norm_keys()},
      .weights = {ends(), kEmbeddingNorm, block_norms(), fused_attention(), plain_ffn()},
  };
  return architecture;
}

}  // namespace lathe
