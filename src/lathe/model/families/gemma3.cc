// Gemma 3 (its text model): Gemma 2 with normalised queries and keys instead of soft caps, and
// rotary positions of their own in the windowed layers.

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/model/families/shared.h"
#include "lathe/nn/position/rope.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"hidden_activation", "hidden_act", &kActivationSpelling, "\"gelu_tanh\""},
    {"num_key_value_heads", "num_key_value_heads", nullptr, "4"},
    {"head_dim", "head_dim", nullptr, "256"},
    {"rms_norm_eps", "norm.eps", nullptr, "1e-6"},
    {"attention_bias", "attention_bias"},
    {"query_pre_attn_scalar", "attention.scale", &kInverseSqrtSpelling, "0.0625"},
    {"sliding_window", "sliding_window", nullptr, "4096"},
    {"final_logit_softcapping", "final_logit_softcapping", &kZeroIsNullSpelling},
};

// transformers keeps the soft cap of scores in the file and leaves it out of its model.
constexpr FixedKey kFixed[] = {{"use_bidirectional_attention", "false"},
                               {"attn_logit_softcapping", "null"}};

ModelConfig defaults() {
  ModelConfig c = gemma2_family().defaults();
  c.attention.qk_norm = "head";
  auto& rope = c.position.get<RopeConfig>();
  rope.rope_theta = 1e6;
  rope.rope_local_base_freq = 1e4;
  return c;
}

constexpr std::string_view kHookKeys[] = {"layer_types", "sliding_window_pattern",
                                          "rope_local_base_freq", "hidden_act"};

void read_layer_types(const Json& theirs, Json& ours) {
  const Json types = first_of(theirs, {"layer_types"});
  const Json period = first_of(theirs, {"sliding_window_pattern"});
  ours["layer_types"] = types.is_null()
                            ? alternating_layers(theirs.at("num_hidden_layers"),
                                                 period.is_null() ? 6 : period.get<int64_t>())
                            : types;
}

// One block of rotary settings for each kind of layer. What older releases wrote as rope_scaling is
// laid over that of full_attention.
void read(const Json& theirs, Json& ours) {
  read_layer_types(theirs, ours);
  const Json blocks = first_of(theirs, {"rope_parameters"});
  require(blocks.is_null() || blocks.empty() || blocks.contains("full_attention") ||
              blocks.contains("sliding_attention"),
          ErrorKind::kConfig, "config.json",
          "rope_parameters is {}, expected an object with full_attention and sliding_attention",
          blocks.dump());
  const auto block = [&](const char* kind) {
    return blocks.is_null() ? Json::object() : blocks.value(kind, Json::object());
  };
  Json global = theirs, full = block("full_attention");
  if (const Json over = first_of(theirs, {"rope_scaling"}); over.is_object()) full.update(over);
  global.erase("rope_scaling");
  global["rope_parameters"] = full;
  read_rope(global, ours);
  const Json local = block("sliding_attention");
  require(local.value("rope_type", Json("default")) == "default", ErrorKind::kConfig, "config.json",
          "the sliding_attention layers have rotary scaling {}, but only \"default\" is supported "
          "there",
          local.value("rope_type", Json()).dump());
  const Json theta = first_of(local, {"rope_theta"});
  if (Json own = theta.is_null() ? first_of(theirs, {"rope_local_base_freq"}) : theta;
      !own.is_null())
    ours["position"]["rope_local_base_freq"] = std::move(own);
}

void write(const ModelConfig& c, Json& theirs) {
  write_alternating(c, theirs);
  write_rope(c, theirs);
  const auto& rope = c.position.get<RopeConfig>();
  const double local = rope.rope_local_base_freq.value_or(rope.rope_theta);
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
      .hook_keys = {rope_keys(), kHookKeys},
      .weights = {decoder_ends(), gemma_norms(), split_attention(), split_gated_mlp()},
      .read = read,
      .write = write,
  };
  return family;
}

}  // namespace lathe
