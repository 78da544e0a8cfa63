// The first ChatGLM: a prefix decoder with DeepNorm read as pre-norms, and rotary positions by two
// places of every token. In its prompts the prefix ends with [gMASK], the blank that is filled, and
// <sop> (bos) is the first token behind it. ChatGLM2 and later kept the name and little else.

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/model/families/shared.h"
#include "lathe/nn/position/rope.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"vocab_size", "vocab_size"},
    {"hidden_size", "hidden_size"},
    {"num_layers", "num_hidden_layers"},
    {"num_attention_heads", "num_attention_heads"},
    {"inner_hidden_size", "intermediate_size"},
    {"max_sequence_length", "max_position_embeddings"},
    {"layernorm_epsilon", "norm.eps"},
    {"tie_word_embeddings", "tie_word_embeddings"},
};

constexpr FixedKey kFixed[] = {
    {"position_encoding_2d", "true"}, {"quantization_bit", "0"}, {"pre_seq_len", "null"}};

constexpr std::string_view kHookKeys[] = {"multi_query_attention"};

constexpr WeightRule kWeights[] = {
    {"transformer.word_embeddings", "embedding"},
    {"transformer.layers.{}.input_layernorm", "layers.{}.attention_norm"},
    {"transformer.layers.{}.attention.query_key_value", "layers.{}.attention.qkv", -1,
     DiskLayout::kGroupedHeads},
    {"transformer.layers.{}.attention.dense", "layers.{}.attention.output"},
    {"transformer.layers.{}.post_attention_layernorm", "layers.{}.ffn_norm"},
    {"transformer.layers.{}.mlp.dense_h_to_4h", "layers.{}.ffn.up"},
    {"transformer.layers.{}.mlp.dense_4h_to_h", "layers.{}.ffn.down"},
    {"transformer.final_layernorm", "final_norm"},
    {"lm_head", "head"},
};

ModelConfig defaults() {
  ModelConfig c;
  c.body = "prefix_decoder";
  c.norm.kind = "layer";
  c.norm.bias = true;
  c.norm.placement = "glm";
  c.position.get<RopeConfig>().rope_places = "blank";
  c.ffn.kind = "mlp";
  c.hidden_act = "gelu_tanh";
  c.attention_bias = c.mlp_bias = true;
  c.tie_word_embeddings = true;
  return c;
}

void read(const Json& theirs, Json&) {
  require(!theirs.contains("multi_query_attention"), ErrorKind::kConfig, "config.json",
          "this is ChatGLM2 or later, which is another model with the same model_type; only the "
          "first ChatGLM is supported");
}

}  // namespace

const Family& chatglm_family() {
  static const Family family = {
      .name = "chatglm",
      .architecture = "ChatGLMModel",
      .summary = "prefix decoder, GLM's DeepNorm, two-dimensional rotary positions, MHA, GELU",
      .source = "Zeng et al. 2022, arXiv:2210.02414; Du et al. 2022, arXiv:2103.10360",
      .defaults = defaults,
      .keys = {kKeys},
      .fixed = kFixed,
      .hook_keys = {kHookKeys},
      .weights = {kWeights},
      .read = read,
  };
  return family;
}

}  // namespace lathe
