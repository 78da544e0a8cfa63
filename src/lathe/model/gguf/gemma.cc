// Gemma 2 and 3. Norms are stored with the 1 that their weights are an offset from. Which layers
// have the window, and the scale of scores, no key says: they follow from the architecture and the
// number of layers, as in llama.cpp.

#include <cmath>

#include "lathe/model/families/shared.h"
#include "lathe/model/gguf/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using namespace gguf;

constexpr GgufKey kWindow[] = {{"attention.sliding_window", "sliding_window"}};
constexpr GgufKey kSoftCaps[] = {{"attn_logit_softcapping", "attn_logit_softcapping"},
                                 {"final_logit_softcapping", "final_logit_softcapping"}};
constexpr GgufKey kLocalRope[] = {{"rope.freq_base_swa", "position.rope_local_base_freq"}};

constexpr auto kPlusOne = DiskLayout::kPlusOne;
constexpr WeightRule kWeights[] = {
    {"token_embd", "embedding"},
    {"output_norm", "final_norm", -1, kPlusOne},
    {"output", "head"},
    {"blk.{}.attn_norm", "layers.{}.attention_norm", -1, kPlusOne},
    {"blk.{}.post_attention_norm", "layers.{}.attention_post_norm", -1, kPlusOne},
    {"blk.{}.ffn_norm", "layers.{}.ffn_norm", -1, kPlusOne},
    {"blk.{}.post_ffw_norm", "layers.{}.ffn_post_norm", -1, kPlusOne},
    {"blk.{}.attn_q", "layers.{}.attention.qkv", 0},
    {"blk.{}.attn_k", "layers.{}.attention.qkv", 1},
    {"blk.{}.attn_v", "layers.{}.attention.qkv", 2},
    {"blk.{}.attn_output", "layers.{}.attention.output"},
    {"blk.{}.attn_q_norm", "layers.{}.attention.query_norm", -1, kPlusOne},
    {"blk.{}.attn_k_norm", "layers.{}.attention.key_norm", -1, kPlusOne},
};

// The largest model of each generation divides scores by the square root of hidden_size / heads,
// the others by that of the width of a head.
void read_scale(const GgufDescription& theirs, int64_t largest, Json& ours) {
  const int64_t layers = integer(theirs, "block_count");
  const int64_t heads = std::max<int64_t>(1, integer(theirs, "attention.head_count", 1));
  const int64_t width = layers == largest ? integer(theirs, "embedding_length") / heads
                                          : integer(theirs, "attention.key_length", 256);
  ours["attention"]["scale"] = 1.0 / std::sqrt(static_cast<double>(std::max<int64_t>(1, width)));
}

void read2(const GgufDescription& theirs, Json& ours) {
  read_scale(theirs, 46, ours);
  ours["layer_types"] = alternating_layers(integer(theirs, "block_count"), 2);
}

void read3(const GgufDescription& theirs, Json& ours) {
  read_scale(theirs, 62, ours);
  ours["layer_types"] = alternating_layers(integer(theirs, "block_count"), 6);
  read_rope_scaling(theirs, ours);
}

}  // namespace

const GgufArchitecture& gguf_gemma2() {
  static const GgufArchitecture architecture = {
      .name = "gemma2",
      .families = {{gemma2_family}},
      .keys = {size_keys(), kv_head_keys(), head_width_keys(), rms_norm_keys(), rope_base_keys(),
               kWindow, kSoftCaps},
      .weights = {kWeights, gated_ffn()},
      .read = read2,
  };
  return architecture;
}

const GgufArchitecture& gguf_gemma3() {
  static const GgufArchitecture architecture = {
      .name = "gemma3",
      .families = {{gemma3_family}},
      .keys = {size_keys(), kv_head_keys(), head_width_keys(), rms_norm_keys(), rope_base_keys(),
               kWindow, kSoftCaps, kLocalRope},
      .weights = {kWeights, gated_ffn()},
      .read = read3,
      .write = write_rope_scaling,
  };
  return architecture;
}

}  // namespace lathe
