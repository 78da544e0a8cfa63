// "t5": T5 and Flan-T5, an encoder (`enc.`) and a decoder (`dec.`).
//
// What no key says is as in those models: distances end at 128; the first T5 has ReLU and, with a tied
// head, logits scaled by 1/√d; later ones have a gate of GELU in its tanh form and no such scale.
// (llama.cpp leaves the scale out, which changes no order of tokens.)

#include "lathe/base/error.h"
#include "lathe/model/gguf/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using namespace gguf;

constexpr GgufKey kKeys[] = {
    {"attention.relative_buckets_count", "position.relative_attention_num_buckets"},
    {"decoder_start_token_id", "decoder_start_token_id"},
};

constexpr WeightRule kWeights[] = {
    {"token_embd", "embedding"},
    {"output", "head"},
    {"enc.output_norm", "encoder.final_norm"},
    {"dec.output_norm", "final_norm"},
    {"enc.blk.0.attn_rel_b", "encoder.position"},
    {"dec.blk.0.attn_rel_b", "position"},
    {"enc.blk.{}.attn_norm", "encoder.layers.{}.attention_norm"},
    {"enc.blk.{}.attn_q", "encoder.layers.{}.attention.qkv", 0},
    {"enc.blk.{}.attn_k", "encoder.layers.{}.attention.qkv", 1},
    {"enc.blk.{}.attn_v", "encoder.layers.{}.attention.qkv", 2},
    {"enc.blk.{}.attn_o", "encoder.layers.{}.attention.output"},
    {"enc.blk.{}.ffn_norm", "encoder.layers.{}.ffn_norm"},
    {"enc.blk.{}.ffn_gate", "encoder.layers.{}.ffn.gate_up", 0},
    {"enc.blk.{}.ffn_up", "encoder.layers.{}.ffn.gate_up", 1},
    {"enc.blk.{}.ffn_up", "encoder.layers.{}.ffn.up"},
    {"enc.blk.{}.ffn_down", "encoder.layers.{}.ffn.down"},
    {"dec.blk.{}.attn_norm", "layers.{}.attention_norm"},
    {"dec.blk.{}.attn_q", "layers.{}.attention.qkv", 0},
    {"dec.blk.{}.attn_k", "layers.{}.attention.qkv", 1},
    {"dec.blk.{}.attn_v", "layers.{}.attention.qkv", 2},
    {"dec.blk.{}.attn_o", "layers.{}.attention.output"},
    {"dec.blk.{}.cross_attn_norm", "layers.{}.cross_norm"},
    {"dec.blk.{}.cross_attn_q", "layers.{}.cross.query"},
    {"dec.blk.{}.cross_attn_k", "layers.{}.cross.key_value", 0},
    {"dec.blk.{}.cross_attn_v", "layers.{}.cross.key_value", 1},
    {"dec.blk.{}.cross_attn_o", "layers.{}.cross.output"},
    {"dec.blk.{}.ffn_norm", "layers.{}.ffn_norm"},
    {"dec.blk.{}.ffn_gate", "layers.{}.ffn.gate_up", 0},
    {"dec.blk.{}.ffn_up", "layers.{}.ffn.gate_up", 1},
    {"dec.blk.{}.ffn_up", "layers.{}.ffn.up"},
    {"dec.blk.{}.ffn_down", "layers.{}.ffn.down"},
};

void read(const GgufDescription& theirs, Json& ours) {
  for (const char* stack : {"enc", "dec"}) {
    const std::string second = fmt::format("{}.blk.1.attn_rel_b.weight", stack);
    require(!theirs.has(second), ErrorKind::kConfig, "gguf",
            "the file has a table of distances for every layer (tensor '{}'), as UMT5 does; Lathe "
            "supports T5, whose layers share one",
            second);
  }
  const int64_t layers = integer(theirs, "block_count");
  ours["num_encoder_layers"] = layers;
  ours["num_hidden_layers"] = integer(theirs, "decoder_block_count", layers);
  const bool gated = theirs.has("enc.blk.0.ffn_gate.weight");
  ours["ffn"]["kind"] = gated ? "gated" : "mlp";
  ours["hidden_act"] = gated ? "gelu_tanh" : "relu";
  ours["scale_tied_head"] = !gated;
}

void write(const ModelConfig& config, GgufDescription& theirs) {
  theirs.keys["block_count"] = config.encoder_layers();
  theirs.keys["decoder_block_count"] = config.num_hidden_layers;
  if (const auto start = config.decoder_start()) theirs.keys["decoder_start_token_id"] = *start;
}

}  // namespace

const GgufArchitecture& gguf_t5() {
  static const GgufArchitecture architecture = {
      .name = "t5",
      .families = {{t5_family}},
      .keys = {size_keys(), head_width_keys(), layer_norm_keys(), rms_norm_keys(), kKeys},
      .weights = {kWeights},
      .read = read,
      .write = write,
  };
  return architecture;
}

}  // namespace lathe
