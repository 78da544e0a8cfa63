// OPT, and Galactica in its shape (GELU, no biases). Learned positions begin at row 2.

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/model/families/shared.h"
#include "lathe/nn/position/learned.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"ffn_dim", "intermediate_size"},
    {"activation_function", "hidden_act", &kGeluNewSpelling},
    {"enable_bias", "attention_bias"},
    {"enable_bias", "mlp_bias"},
    {"do_layer_norm_before", "norm.placement", &kPreNormSpelling},
    {"dropout", "hidden_dropout", nullptr, "0.1"},
    {"init_std", "initializer_range"},
};

constexpr FixedKey kFixed[] = {{"layer_norm_elementwise_affine", "true"}};

constexpr std::string_view kHookKeys[] = {"word_embed_proj_dim", "_remove_final_layer_norm"};

constexpr WeightRule kWeights[] = {
    {"model.decoder.embed_tokens", "embedding"},
    {"model.decoder.embed_positions", "position"},
    {"model.decoder.layers.{}.self_attn_layer_norm", "layers.{}.attention_norm"},
    {"model.decoder.layers.{}.self_attn.q_proj", "layers.{}.attention.qkv", 0},
    {"model.decoder.layers.{}.self_attn.k_proj", "layers.{}.attention.qkv", 1},
    {"model.decoder.layers.{}.self_attn.v_proj", "layers.{}.attention.qkv", 2},
    {"model.decoder.layers.{}.self_attn.out_proj", "layers.{}.attention.output"},
    {"model.decoder.layers.{}.final_layer_norm", "layers.{}.ffn_norm"},
    {"model.decoder.layers.{}.fc1", "layers.{}.ffn.up"},
    {"model.decoder.layers.{}.fc2", "layers.{}.ffn.down"},
    {"model.decoder.final_layer_norm", "final_norm"},
    {"lm_head", "head"},
};

ModelConfig defaults() {
  ModelConfig c = gpt2_family().defaults();
  c.hidden_act = "relu";
  c.position.get<LearnedPositionConfig>().offset = 2;
  c.max_position_embeddings = 2048;
  return c;
}

void read(const Json& theirs, Json& ours) {
  const Json width = theirs.value("word_embed_proj_dim", Json());
  require(width.is_null() || width == theirs.at("hidden_size"), ErrorKind::kConfig, "config.json",
          "word_embed_proj_dim is {}; only tables as wide as hidden_size are supported",
          width.dump());
  // Null is what can_express() is given of a placement that OPT has no word for.
  ours["norm"]["final"] = theirs.value("do_layer_norm_before", Json(true)) == true &&
                          !theirs.value("_remove_final_layer_norm", false);
}

void write(const ModelConfig& c, Json& theirs) {
  theirs["word_embed_proj_dim"] = c.hidden_size;
  theirs["_remove_final_layer_norm"] = !c.norm.final;
}

}  // namespace

const Family& opt_family() {
  static const Family family = {
      .name = "opt",
      .architecture = "OPTForCausalLM",
      .summary = "LayerNorm, learned positions, MHA, ReLU or GELU",
      .source = "Zhang et al. 2022, arXiv:2205.01068; Taylor et al. 2022, arXiv:2211.09085",
      .defaults = defaults,
      .keys = {basic_keys(), kKeys},
      .fixed = kFixed,
      .hook_keys = {kHookKeys},
      .weights = {kWeights},
      .read = read,
      .write = write,
  };
  return family;
}

}  // namespace lathe
