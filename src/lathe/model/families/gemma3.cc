// Gemma 3 (its text model): Gemma 2 with normalised queries and keys instead of soft caps, and
// rotary positions of their own in the windowed layers.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"hidden_activation", "hidden_act", &kActivationSpelling},
    {"rms_norm_eps", "norm.eps", nullptr, "1e-6"},
    {"attention_bias", "attention_bias"},
    {"query_pre_attn_scalar", "attention.scale", &kInverseSqrtSpelling, "0.0625"},
    {"sliding_window", "sliding_window", nullptr, "4096"},
    {"layer_types", "layer_types", nullptr,
     R"(["sliding_attention", "sliding_attention", "sliding_attention", "sliding_attention",
         "sliding_attention", "full_attention"])"},
    {"attn_logit_softcapping", "attn_logit_softcapping", &kZeroIsNullSpelling},
    {"final_logit_softcapping", "final_logit_softcapping", &kZeroIsNullSpelling},
};

constexpr FixedKey kFixed[] = {{"use_bidirectional_attention", "false"}};

ModelConfig defaults() {
  ModelConfig c = gemma2_family().defaults();
  c.attention.qk_norm = "head";
  c.position.rope_theta = 1e6;
  c.position.rope_local_base_freq = 1e4;
  return c;
}

// One block of rotary settings for each kind of layer.
void read(const Json& theirs, Json& ours) {
  Json global = theirs;
  if (theirs.contains("rope_parameters") && theirs.at("rope_parameters").is_object()) {
    const Json& blocks = theirs.at("rope_parameters");
    global["rope_parameters"] = blocks.value("full_attention", Json::object());
    const Json local = blocks.value("sliding_attention", Json::object());
    if (local.contains("rope_theta"))
      ours["position"]["rope_local_base_freq"] = local.at("rope_theta");
  } else if (theirs.contains("rope_local_base_freq")) {
    ours["position"]["rope_local_base_freq"] = theirs.at("rope_local_base_freq");
  }
  read_rope(global, ours);
}

void write(const ModelConfig& c, Json& theirs) {
  write_rope(c, theirs);
  const double local = c.position.rope_local_base_freq.value_or(c.position.rope_theta);
  theirs["rope_local_base_freq"] = local;
  theirs["rope_parameters"] = {
      {"full_attention", theirs.at("rope_parameters")},
      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", local}}},
  };
}

}  // namespace

const Family& gemma3_family() {
  static const Family family = {
      .name = "gemma3_text",
      .architecture = "Gemma3ForCausalLM",
      .summary = "sandwich RMSNorm, two rotary bases, GQA with normalised queries and keys, GeGLU",
      .source = "Gemma Team 2025, arXiv:2503.19786",
      .defaults = defaults,
      .keys = {standard_keys(), kKeys},
      .fixed = kFixed,
      .weights = {decoder_ends(), gemma_norms(), split_attention(), split_gated_mlp()},
      .read = read,
      .write = write,
  };
  return family;
}

}  // namespace lathe
