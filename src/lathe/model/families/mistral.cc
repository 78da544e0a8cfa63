// Mistral 7B and its successors: Llama with a sliding window in every layer.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

constexpr ConfigKey kKeys[] = {
    {"rms_norm_eps", "norm.eps", nullptr, "1e-6"},
    {"sliding_window", "sliding_window", nullptr, "4096"},
};

}  // namespace

const Family& mistral_family() {
  static const Family family = {
      .name = "mistral",
      .architecture = "MistralForCausalLM",
      .summary = "RMSNorm, rotary positions, GQA, SwiGLU, sliding window",
      .source = "Jiang et al. 2023, arXiv:2310.06825",
      .defaults = [] { return ModelConfig(); },
      .keys = {standard_keys(), kKeys},
      .weights = {decoder_ends(), pre_norms(), split_attention(), split_gated_mlp()},
      .read = read_rope,
      .write = write_rope,
  };
  return family;
}

}  // namespace lathe
