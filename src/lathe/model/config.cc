#include "lathe/model/config.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/config/config.h"
#include "lathe/model/family.h"
#include "lathe/nn/attention/attention.h"
#include "lathe/nn/ffn/ffn.h"
#include "lathe/nn/norm/norm.h"
#include "lathe/nn/position/position.h"

namespace lathe {

void NormConfig::visit(Visitor& v) {
  v.choice("kind", kind, names_of(norms()), "normalisation layer");
  v.choice("placement", placement, {"pre", "post"},
           "before each sub-layer (x + f(norm(x))) or after each addition (norm(x + f(x)))");
  v.field("eps", eps, "added to the variance", above(0));
  v.field("bias", bias, "a trained offset beside the gain");
  v.field("final", final, "normalise once more before the output head");
}

void PositionConfig::visit(Visitor& v) {
  v.choice("kind", kind, names_of(positions()), "how the model knows where a token stands");
  v.field("rope_theta", rope_theta, "base of the rotary wavelengths", above(0));
  v.choice("rope_layout", rope_layout, {"half", "interleaved"},
           "which channels rotate together: (i, i + D/2) or (2i, 2i + 1)");
}

void FeedForwardConfig::visit(Visitor& v) {
  v.choice("kind", kind, names_of(feed_forwards()), "feed-forward layer");
}

void ModelConfig::visit(Visitor& v) {
  v.choice("model_type", model_type, family_names(),
           "family whose defaults and config.json spellings apply; `lathe` for none");
  v.field("vocab_size", vocab_size, "rows of the token table", at_least(1).required());
  v.field("hidden_size", hidden_size, "width C of the residual stream", at_least(1).required());
  v.field("num_hidden_layers", num_hidden_layers, "blocks L", at_least(1).required());
  v.field("num_attention_heads", num_attention_heads, "query heads H", at_least(1).required());
  v.field("num_key_value_heads", num_key_value_heads,
          "key/value heads K: H is MHA (default), 1 is MQA, between is GQA", at_least(1));
  v.field("head_dim", head_dim, "head width D; default hidden_size / num_attention_heads",
          at_least(1));
  v.field("intermediate_size", intermediate_size,
          "feed-forward width F; default 4·C for mlp, 8/3·C rounded up to 64 for gated",
          at_least(1));
  v.field("max_position_embeddings", max_position_embeddings, "longest sequence", at_least(1));
  v.choice("hidden_act", hidden_act, kernels::activation_names(),
           "activation of the feed-forward layer");
  v.field("tie_word_embeddings", tie_word_embeddings, "output head and token table are one matrix");
  v.field("attention_bias", attention_bias,
          "biases in the query, key, value and output projections");
  v.field("mlp_bias", mlp_bias, "biases in the feed-forward layer");
  v.field("attention_dropout", attention_dropout, "dropout of attention weights while training",
          between(0, 0.99));
  v.field("hidden_dropout", hidden_dropout,
          "dropout of embeddings and sub-layer outputs while training", between(0, 0.99));
  v.field("initializer_range", initializer_range, "standard deviation of fresh weights", above(0));
  v.field("scale_residual_init", scale_residual_init,
          "divide the initial output projections by sqrt(2·L), as GPT-2 does");
  v.field("bos_token_id", bos_token_id, "id that begins a text", at_least(0));
  v.field("eos_token_id", eos_token_id, "id that ends a text; generation stops there", at_least(0));
  v.field("pad_token_id", pad_token_id, "id that fills up a batch", at_least(0));
  v.group("norm", norm, "normalisation");
  v.group("position", position, "positions");
  v.group("ffn", ffn, "feed-forward");
}

int64_t ModelConfig::ffn_width() const {
  if (intermediate_size) return *intermediate_size;
  if (!gated()) return 4 * hidden_size;
  return (hidden_size * 8 / 3 + 63) / 64 * 64;
}

void validate(const ModelConfig& c) {
  auto refuse = [](std::string_view key, const std::string& message) {
    throw Error(ErrorKind::kConfig, fmt::format("model.{}", key), message);
  };
  // Sizes first: what follows divides by them, and their products are computed as 64-bit integers
  // everywhere else.
  constexpr int64_t kLargest = int64_t{1} << 24, kMostLayers = int64_t{1} << 16;
  auto check_up_to = [&](int64_t most, std::string_view key, int64_t value) {
    if (value < 1 || value > most)
      refuse(key, fmt::format("{} is out of range, expected 1 to {}", value, most));
  };
  auto check_size = [&](std::string_view key, int64_t value) { check_up_to(kLargest, key, value); };
  check_size("vocab_size", c.vocab_size);
  check_size("hidden_size", c.hidden_size);
  check_up_to(kMostLayers, "num_hidden_layers", c.num_hidden_layers);
  check_size("num_attention_heads", c.num_attention_heads);
  check_size("num_key_value_heads", c.kv_heads());
  if (c.head_dim) check_size("head_dim", *c.head_dim);
  check_size("intermediate_size", c.ffn_width());
  check_size("max_position_embeddings", c.max_position_embeddings);
  if (c.num_attention_heads * c.head_width() > kLargest)
    refuse("head_dim",
           fmt::format("{} heads of width {} are out of range, expected at most {} channels",
                       c.num_attention_heads, c.head_width(), kLargest));
  if (!c.head_dim && c.hidden_size % c.num_attention_heads != 0)
    refuse(
        "num_attention_heads",
        fmt::format(
            "hidden_size {} is not a multiple of {} heads; choose {} heads that divide it, or set "
            "head_dim",
            c.hidden_size, c.num_attention_heads, "a number of"));
  if (c.num_attention_heads % c.kv_heads() != 0)
    refuse("num_key_value_heads",
           fmt::format("{} query heads cannot share {} key/value heads evenly; use a divisor of {}",
                       c.num_attention_heads, c.kv_heads(), c.num_attention_heads));
  if (c.position.kind == "rope" && c.head_width() % 2 != 0)
    refuse("head_dim",
           fmt::format("rope rotates pairs of channels, but head_dim is {}; use an even one, or "
                       "position.kind = \"learned\"",
                       c.head_width()));
  for (const auto& [key, id] :
       {std::pair{"bos_token_id", c.bos_token_id}, {"eos_token_id", c.eos_token_id}})
    if (id && *id >= c.vocab_size)
      refuse(key, fmt::format("{} is outside the vocabulary of {}", *id, c.vocab_size));
}

ModelConfig model_config_from_recipe(const nlohmann::ordered_json& section) {
  const std::string type = section.contains("model_type") && section["model_type"].is_string()
                               ? section["model_type"].get<std::string>()
                               : "llama";
  const Family& family = find_family(type);
  ModelConfig config = family.defaults();
  config.model_type = type;
  read_config(config, family.rename(section), "model");
  validate(config);
  return config;
}

}  // namespace lathe
