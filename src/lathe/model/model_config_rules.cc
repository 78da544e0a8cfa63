// The rules that a model's configuration keeps, and what its errors say.
#include <fmt/ranges.h>

#include "lathe/model/components.h"
#include "lathe/model/layer_masks.h"

namespace lathe {
namespace {

[[noreturn]] void refuse(std::string_view key, const std::string& message) {
  throw Error(ErrorKind::kConfig, fmt::format("model.{}", key), message);
}

void check_experts(const ModelConfig& c) {
  validate(c.moe);
  if (!is_causal(c.moe) && !c.moe.allow_non_causal && c.body_traits().causal)
    refuse("moe.router",
           fmt::format("{} lets later tokens decide which expert an earlier one gets; use "
                       "softmax_topk, or moe.allow_non_causal = true if that is what you study",
                       c.moe.router));
}

void check_body(const ModelConfig& c) {
  const Body body = c.body_traits();
  if (c.num_encoder_layers && !body.encoder)
    refuse(
        "num_encoder_layers",
        fmt::format("body = \"{}\" has no encoder; use \"encoder_decoder\", or leave the key out",
                    c.body));
  if (c.num_nextn_predict_layers > 0 && (body.encoder || !body.causal))
    refuse("num_nextn_predict_layers",
           fmt::format("predicting further tokens needs a causal decoder, but body = \"{}\" is not "
                       "one; use 0, or \"decoder\"",
                       c.body));
  if (c.num_labels > 0 && (body.encoder || c.head_transform || c.num_nextn_predict_layers > 0))
    refuse("num_labels",
           "scores instead of an output head are computed for models of one stack only, without "
           "head_transform and num_nextn_predict_layers; use 0, or body = \"decoder\"");
  if (c.pooler && (c.num_labels == 0 || body.causal))
    refuse(
        "pooler",
        "it stands before the scores of an encoder (num_labels); use false, or body = \"encoder\" with "
        "num_labels");
  if (!c.lm_head && (c.tie_word_embeddings || c.lm_head_bias || c.head_transform ||
                     c.num_labels > 0 || c.num_nextn_predict_layers > 0 || body.encoder))
    refuse(
        "lm_head",
        "a model without an output head is a decoder or an encoder that has nothing in its place and nothing "
        "that belongs to it (tie_word_embeddings, lm_head_bias, head_transform, num_labels, "
        "num_nextn_predict_layers); use true, or leave these out");
  if (body.encoder && c.parallel_block != "none")
    refuse("parallel_block",
           "the cross-attention of an encoder_decoder comes between attention and feed-forward; "
           "use \"none\"");
}

void check_block(const ModelConfig& c) {
  if (c.parallel_block != "none" && !placement_of(c).is_plain())
    refuse("parallel_block",
           fmt::format("parallel attention and feed-forward need the norm before them, but "
                       "norm.placement is \"{}\"; use \"pre\", or parallel_block = \"none\"",
                       c.norm.placement));
  const int64_t layers = std::max(c.num_hidden_layers, c.encoder_layers());
  if (static_cast<int64_t>(c.layer_types.size()) > layers)
    refuse("layer_types", fmt::format("{} entries for {} layers; give one for each layer, or a "
                                      "shorter list, which is repeated",
                                      c.layer_types.size(), layers));
}

// What follows divides by sizes, and their products are computed as 64-bit integers everywhere
// else.
void check_sizes(const ModelConfig& c) {
  constexpr int64_t kLargest = int64_t{1} << 24, kMostLayers = int64_t{1} << 16;
  auto check_up_to = [&](int64_t most, std::string_view key, int64_t value) {
    if (value < 1 || value > most)
      refuse(key, fmt::format("{} is out of range, expected 1 to {}", value, most));
  };
  auto check_size = [&](std::string_view key, int64_t value) { check_up_to(kLargest, key, value); };
  check_size("vocab_size", c.vocab_size);
  check_size("hidden_size", c.hidden_size);
  check_up_to(kMostLayers, "num_hidden_layers", c.num_hidden_layers);
  check_up_to(kMostLayers, "num_encoder_layers", c.encoder_layers());
  check_up_to(kLargest, "type_vocab_size", c.type_vocab_size + 1);
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
    refuse("num_attention_heads",
           fmt::format("hidden_size {} is not a multiple of {} heads; choose a number of heads "
                       "that divides it, or set head_dim",
                       c.hidden_size, c.num_attention_heads));
  if (c.num_attention_heads % c.kv_heads() != 0)
    refuse("num_key_value_heads",
           fmt::format("{} query heads cannot share {} key/value heads evenly; use a divisor of {}",
                       c.num_attention_heads, c.kv_heads(), c.num_attention_heads));
}

}  // namespace

void validate(const ModelConfig& c) {
  check_sizes(c);
  norm_of(c).check();
  attention_of(c).check();
  position_of(c, main_stack(c)).check();
  if (c.body_traits().encoder) position_of(c, encoder_stack(c)).check();
  check_body(c);
  ffn_of(c, main_stack(c)).check();
  check_masks(c);
  check_block(c);
  check_experts(c);
  for (const auto& [key, member] : kSpecialIds)
    if (const auto id = c.*member; id && *id >= c.vocab_size)
      refuse(key, fmt::format("{} is outside the vocabulary of {}", *id, c.vocab_size));
  for (const int64_t id : c.other_eos_token_ids)
    if (id >= c.vocab_size)
      refuse("other_eos_token_ids",
             fmt::format("{} is outside the vocabulary of {}", id, c.vocab_size));
}

}  // namespace lathe
