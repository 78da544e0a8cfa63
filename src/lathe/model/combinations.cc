#include "lathe/model/combinations.h"

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/config/read_write.h"
#include "lathe/kernels/activation/activations.h"
#include "lathe/model/body.h"
#include "lathe/model/transformer.h"
#include "lathe/nn/moe/router.h"
#include "lathe/nn/norm/placement.h"

namespace lathe {
namespace {

// One choice for each name of a catalogue.
template <class Set>
std::vector<Choice> choices_of(const std::vector<std::string>& names, Set set) {
  std::vector<Choice> choices;
  for (const std::string& name : names)
    choices.push_back({name, [set, name](ModelConfig& c) { set(c, name); }});
  return choices;
}

// An entry of a catalogue with some keys of its own.
template <class Section>
Choice component_choice(const std::string& name, Section ModelConfig::*section,
                        std::string_view kind, std::string_view keys) {
  Section chosen;
  chosen.kind = kind;
  read_config(chosen, nlohmann::ordered_json::parse(keys), name);
  return {name, [section, chosen](ModelConfig& c) {
            (c.*section).kind = chosen.kind;
            (c.*section).own() = chosen.own();
          }};
}

// Every entry, and then what their examples make of them.
template <class Section, class Table>
std::vector<Choice> choices_of_components(Section ModelConfig::*section, const Table& table) {
  std::vector<Choice> choices, examples;
  for (const auto& entry : table) {
    const std::string kind(entry.name);
    std::string_view least = "{}";
    for (const ComponentExample& e : entry.examples) {
      if (e.name.empty())
        least = e.keys;
      else
        examples.push_back(
            component_choice(fmt::format("{}_{}", kind, e.name), section, kind, e.keys));
    }
    choices.push_back(component_choice(kind, section, kind, least));
  }
  choices.insert(choices.end(), examples.begin(), examples.end());
  return choices;
}

// The first kind with its settings, and the other kinds.
std::vector<Choice> attention_choices() {
  std::vector<Choice> choices = {{"mha", [](ModelConfig&) {}},
                                 {"gqa", [](ModelConfig& c) { c.num_key_value_heads = 2; }},
                                 {"mqa", [](ModelConfig& c) { c.num_key_value_heads = 1; }},
                                 {"headnorm", [](ModelConfig& c) { c.attention.qk_norm = "head"; }},
                                 {"fullnorm", [](ModelConfig& c) { c.attention.qk_norm = "full"; }},
                                 {"sinks", [](ModelConfig& c) { c.attention.sink_logits = true; }},
                                 {"scaled", [](ModelConfig& c) {
                                    c.attention.scale = 0.4;
                                    c.attention.output_bias = true;
                                    c.attn_logit_softcapping = 1.5;
                                  }}};
  const auto kinds = choices_of_components(&ModelConfig::attention, attentions());
  choices.insert(choices.end(), kinds.begin() + 1, kinds.end());
  return choices;
}

std::vector<Choice> window_choices() {
  return {{"everywhere", [](ModelConfig&) {}},
          {"window", [](ModelConfig& c) { c.sliding_window = 3; }},
          {"alternating",
           [](ModelConfig& c) {
             c.sliding_window = 4;
             c.layer_types = {"sliding_attention", "full_attention"};
           }},
          {"window_with_sinks",
           [](ModelConfig& c) {
             c.sliding_window = 2;
             c.attention.sink_tokens = 2;
           }},
          {"strided",
           [](ModelConfig& c) {
             c.layer_types = {"strided_attention"};
             c.attention.sparse_stride = 3;
             c.attention.sparse_local = 2;
           }},
          {"fixed", [](ModelConfig& c) {
             c.layer_types = {"fixed_attention", "full_attention"};
             c.attention.sparse_block = 2;
             c.attention.sparse_stride = 2;
             c.attention.sink_tokens = 1;
           }}};
}

// Experts in the second layer, so that the dense layer of the first takes part, too.
void set_router(ModelConfig& c, const std::string& router) {
  c.moe.router = router;
  c.moe.num_experts = 4;
  c.moe.moe_intermediate_size = 6;
  c.moe.first_k_dense_replace = 1;
}

std::vector<Choice> expert_choices() {
  std::vector<Choice> choices = choices_of(names_of(routers()), set_router);
  choices.insert(choices.begin(), {"dense", [](ModelConfig&) {}});
  return choices;
}

std::vector<Choice> body_choices() {
  std::vector<Choice> choices;
  for (const auto& e : bodies())
    choices.push_back({std::string(e.name), [e](ModelConfig& c) {
                         c.body = e.name;
                         if (e.make.encoder) c.num_encoder_layers = 1;
                         if (e.make.causal) return;
                         c.head_transform = true;
                         c.type_vocab_size = 3;
                       }});
  return choices;
}

std::vector<Choice> head_choices() {
  return {{"untied", [](ModelConfig&) {}},
          {"tied", [](ModelConfig& c) { c.tie_word_embeddings = true; }},
          {"biased_head",
           [](ModelConfig& c) {
             c.lm_head_bias = true;
             c.final_logit_softcapping = 2.0;
             c.logit_scale = 0.7;
           }},
          {"tied_biased_head", [](ModelConfig& c) {
             c.tie_word_embeddings = c.lm_head_bias = true;
             c.scale_embedding = c.norm.embedding = true;
           }}};
}

}  // namespace

ModelConfig tiny_config() {
  ModelConfig c;
  c.model_type = "lathe";
  c.vocab_size = kTinyVocabulary;
  c.hidden_size = 16;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 4;
  c.intermediate_size = 12;
  c.max_position_embeddings = 24;
  c.initializer_range = 0.3;  // large enough for every path to matter
  return c;
}

std::vector<Dimension> dimensions() {
  return {
      {"norm", "norm.kind", choices_of_components(&ModelConfig::norm, norms())},
      {"placement", "norm.placement",
       choices_of(names_of(norm_placements()),
                  [](ModelConfig& c, const std::string& name) { c.norm.placement = name; })},
      {"block",
       "parallel_block",
       {{"in_turn", [](ModelConfig&) {}},
        {"shared_norm", [](ModelConfig& c) { c.parallel_block = "shared_norm"; }},
        {"two_norms", [](ModelConfig& c) { c.parallel_block = "two_norms"; }}}},
      {"position", "position.kind", choices_of_components(&ModelConfig::position, positions())},
      {"attention", "attention.kind", attention_choices()},
      {"window", "layer_types", window_choices()},
      {"ffn", "ffn.kind", choices_of_components(&ModelConfig::ffn, feed_forwards())},
      {"activation", "hidden_act",
       choices_of(kernels::activation_names(),
                  [](ModelConfig& c, const std::string& name) { c.hidden_act = name; })},
      {"experts", "moe.router", expert_choices()},
      {"bias",
       "attention_bias",
       {{"plain", [](ModelConfig&) {}},
        {"biased", [](ModelConfig& c) { c.attention_bias = c.mlp_bias = c.norm.bias = true; }}}},
      {"head", "tie_word_embeddings", head_choices()},
      {"end",
       "norm.final",
       {{"final", [](ModelConfig&) {}}, {"bare", [](ModelConfig& c) { c.norm.final = false; }}}},
      {"body", "body", body_choices()},
  };
}

std::string refusal_of(const ModelConfig& config) {
  try {
    const Transformer model(config);
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

std::vector<Meeting> all_meetings(const std::vector<Dimension>& dims) {
  std::vector<Meeting> meetings;
  for (size_t a = 0; a < dims.size(); ++a)
    for (size_t b = a + 1; b < dims.size(); ++b)
      for (size_t i = 0; i < dims[a].choices.size(); ++i)
        for (size_t j = 0; j < dims[b].choices.size(); ++j) {
          ModelConfig config = tiny_config();
          dims[a].choices[i].apply(config);
          dims[b].choices[j].apply(config);
          meetings.push_back({a, i, b, j, refusal_of(config)});
        }
  return meetings;
}

}  // namespace lathe
