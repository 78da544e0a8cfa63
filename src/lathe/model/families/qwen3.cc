// Qwen3: Llama with normalised queries and keys.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

constexpr ConfigKey kKeys[] = {
    {"rms_norm_eps", "norm.eps", nullptr, "1e-6"},
    {"attention_bias", "attention_bias"},
    {"num_key_value_heads", "num_key_value_heads", nullptr, "32"},
    {"head_dim", "head_dim", nullptr, "128"},
};

ModelConfig defaults() {
  ModelConfig c;
  c.attention.qk_norm = "head";
  return c;
}

}  // namespace

const Family& qwen3_family() {
  static const Family family = {
      .name = "qwen3",
      .architecture = "Qwen3ForCausalLM",
      .summary = "RMSNorm, rotary positions, GQA with normalised queries and keys, SwiGLU",
      .source = "Yang et al. 2025, arXiv:2505.09388",
      .defaults = defaults,
      .keys = {standard_keys(), kKeys},
      .hook_keys = {window_keys()},
      .weights = {decoder_ends(), pre_norms(), split_attention(), split_gated_mlp()},
      .read = read_windows,
      .write = write_windows,
  };
  return family;
}

}  // namespace lathe
