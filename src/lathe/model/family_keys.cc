// Which keys of a config.json are known. A key that no table of a family names is either one of
// those below, which leave alone what a model computes from its ids, or it is named in a warning.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kWithoutEffect[] = {
    // who wrote the file and for what
    "architectures",
    "model_type",
    "auto_map",
    "transformers_version",
    "dtype",
    "torch_dtype",
    "attn_implementation",
    "tokenizer_class",
    "license",
    "finetuning_task",
    "problem_type",
    "task_specific_params",
    "id2label",
    "label2id",
    "num_labels",
    "prefix",
    "model_max_length",
    "quantization_config",
    "pruned_heads",
    // how a program runs it
    "use_cache",
    "cache_implementation",
    "torchscript",
    "use_bfloat16",
    "return_dict",
    "use_return_dict",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_router_logits",
    "add_router_probs",
    "chunk_size_feed_forward",
    "pretraining_tp",
    "slow_but_exact",
    "gradient_checkpointing",
    "tie_encoder_decoder",
    "is_encoder_decoder",
    "add_cross_attention",
    "cross_attention_hidden_size",
    "reorder_and_upcast_attn",
    "ep_size",
    "router_dtype",
    "flash_attn",
    "seq_length",
    "offset_alibi",
    "skip_bias_add",
    "skip_bias_add_qkv",
    "attention_softmax_in_fp32",
    "bias_dropout_fusion",
    "masked_softmax_fusion",
    "unsafe_softmax",
    // training
    "classifier_dropout",
    "layerdrop",
    "embd_pdrop",
    "embedding_dropout",
    "attn_pdrop",
    "initializer_factor",
    "aux_loss_alpha",
    "seq_aux",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "router_z_loss_coef",
    "rescale_every",
    // heads of other tasks
    "summary_type",
    "summary_use_proj",
    "summary_activation",
    "summary_proj_to_labels",
    "summary_first_dropout",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
    "directionality",
    // tokens, and how to generate, which generation_config.json says today
    "sep_token_id",
    "mask_token_id",
    "unk_token_id",
    "gmask_token_id",
    "eop_token_id",
    "max_length",
    "min_length",
    "max_new_tokens",
    "do_sample",
    "early_stopping",
    "num_beams",
    "num_beam_groups",
    "diversity_penalty",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
    "repetition_penalty",
    "length_penalty",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "bad_words_ids",
    "num_return_sequences",
    "output_scores",
    "return_dict_in_generate",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "remove_invalid_values",
    "exponential_decay_length_penalty",
    "suppress_tokens",
    "begin_suppress_tokens",
};

constexpr std::string_view kRopeBlocks[] = {"rope_parameters", "rope_scaling"};

template <class List>
bool has(const List& list, std::string_view name) {
  return std::ranges::find(list, name) != std::ranges::end(list);
}

bool is_known(const Family& family, std::string_view name) {
  // Private fields of transformers' classes ("_name_or_path"), but for those that a family reads.
  if (name.starts_with("_") || has(kWithoutEffect, name) || name == "layer_types") return true;
  for (const auto& list : family.hook_keys)
    if (has(list, name)) return true;
  const auto named = [&](const auto& key) { return key.theirs == name; };
  for (const auto& table : family.keys)
    if (std::ranges::any_of(table, named)) return true;
  return std::ranges::any_of(family.other_keys, named) ||
         std::ranges::any_of(family.fixed, named) ||
         std::ranges::any_of(kSpecialIds, [&](const SpecialId& id) { return id.key == name; });
}

}  // namespace

std::vector<std::string> unknown_config_keys(const Family& family, const Json& json) {
  std::vector<std::string> unknown;
  if (family.keys.empty()) return unknown;  // this program's own keys: each is read or refused
  for (const auto& [name, value] : json.items()) {
    if (!is_known(family, name)) {
      unknown.push_back(name);
    } else if (has(kRopeBlocks, name) && value.is_object()) {
      for (const auto& [part, setting] : value.items())
        if (!is_known_rope_key(part)) unknown.push_back(name + "." + part);
    }
  }
  return unknown;
}

}  // namespace lathe
