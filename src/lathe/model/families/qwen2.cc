// Qwen2 and Qwen2.5: Llama with biases in the query, key and value projections.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

constexpr ConfigKey kKeys[] = {
    {"rms_norm_eps", "norm.eps", nullptr, "1e-6"},
    {"num_key_value_heads", "num_key_value_heads", nullptr, "32"},
};

ModelConfig defaults() {
  ModelConfig c;
  c.attention_bias = true;
  c.attention.output_bias = false;
  return c;
}

}  // namespace

const Family& qwen2_family() {
  static const Family family = {
      .name = "qwen2",
      .architecture = "Qwen2ForCausalLM",
      .summary = "RMSNorm, rotary positions, GQA with query, key and value biases, SwiGLU",
      .source = "Yang et al. 2024, arXiv:2407.10671",
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
