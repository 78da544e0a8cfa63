// LLaMA 1 to 3 (Touvron et al. 2023, arXiv:2302.13971), and everything stored in its shape
// (SmolLM2 among them).

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

constexpr ConfigKey kKeys[] = {
    {"rms_norm_eps", "norm.eps", nullptr, "1e-6"},
    {"attention_bias", "attention_bias"},
    {"mlp_bias", "mlp_bias"},
};

}  // namespace

const Family& llama_family() {
  static const Family family = {
      .name = "llama",
      .architecture = "LlamaForCausalLM",
      .summary = "RMSNorm, rotary positions, GQA, SwiGLU",
      .source = "Touvron et al. 2023, arXiv:2302.13971",
      .defaults = [] { return ModelConfig(); },
      .keys = {standard_keys(), kKeys},
      .hook_keys = {rope_keys()},
      .weights = {decoder_ends(), pre_norms(), split_attention(), split_gated_mlp()},
      .read = read_rope,
      .write = write_rope,
  };
  return family;
}

}  // namespace lathe
