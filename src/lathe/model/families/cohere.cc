// Cohere's Command R: attention and feed-forward side by side behind one LayerNorm without bias.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"
#include "lathe/nn/position/rope.h"

namespace lathe {
namespace {

constexpr ConfigKey kKeys[] = {
    {"layer_norm_eps", "norm.eps"},
    {"attention_bias", "attention_bias"},
    {"logit_scale", "logit_scale", nullptr, "0.0625"},
};

constexpr FixedKey kFixed[] = {{"use_qk_norm", "false"}};

ModelConfig defaults() {
  ModelConfig c;
  c.norm.kind = "layer";
  c.parallel_block = "shared_norm";
  auto& rope = c.position.get<RopeConfig>();
  rope.rope_layout = "interleaved";
  rope.rope_theta = 500000.0;
  c.tie_word_embeddings = true;
  return c;
}

}  // namespace

const Family& cohere_family() {
  static const Family family = {
      .name = "cohere",
      .architecture = "CohereForCausalLM",
      .summary = "parallel block, LayerNorm without bias, interleaved rotary positions, SwiGLU",
      .source = "Cohere For AI 2024, Command R",
      .defaults = defaults,
      .keys = {standard_keys(), kKeys},
      .fixed = kFixed,
      .hook_keys = {rope_keys()},
      .weights = {decoder_ends(), pre_norms(), split_attention(), split_gated_mlp()},
      .read = read_rope,
      .write = write_rope,
  };
  return family;
}

}  // namespace lathe
