#include "lathe/model/convert/conversion.h"

#include <map>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/config/read_write.h"
#include "lathe/nn/position/rope_scaling.h"

namespace lathe {

void ConversionOptions::visit(Visitor& v) {
  v.choice("body", body, {"prefix_decoder"},
           "turn a decoder into one that attends to a prefix in both directions; the weights do "
           "not change");
  v.field("kv_heads", kv_heads,
          "key/value heads of the new model, a divisor of the current number; each is the mean of "
          "the heads it replaces",
          at_least(1));
  v.field("vocab_size", vocab_size,
          "rows of the new token table, at least the current number; new rows are drawn near the "
          "mean of the old ones",
          at_least(1));
  v.field("pad_vocab_to", pad_vocab_to, "round the vocabulary up to a multiple of this",
          between(1, 65536));
  v.field("context", context, "longest text of the new model, in tokens", at_least(1));
  v.choice("rope_scaling", rope_scaling, names_of(rope_scalings()),
           "how rotary positions are stretched to the new context; none only raises the limit");
  v.field("experts", experts, "experts per layer, each a copy of the dense layer",
          between(2, 65536));
  v.field("experts_per_token", experts_per_token,
          "experts per token (default 2); with only one, its weight would always be 1 and the "
          "router could not learn",
          at_least(2));
  v.field("seed", seed, "seed of the new rows and routers");
}

std::span<const CatalogueEntry<MakeConversion>> conversions() {
  static constexpr CatalogueEntry<MakeConversion> kConversions[] = {
      {"body",
       "decoder to prefix decoder: the same weights, with attention in both directions over a "
       "prefix",
       "Tay et al. 2022, arXiv:2210.11399", make_body_conversion},
      {"kv_heads", "multi-head attention to grouped or multi-query: key and value heads averaged",
       "Ainslie et al. 2023, arXiv:2305.13245", make_kv_heads_conversion},
      {"tokenizer",
       "another tokenizer: a row for each of its tokens, the old one or the mean of its pieces'",
       "Hewitt 2021, Initializing new word embeddings for pretrained language models",
       make_tokenizer_conversion},
      {"vocabulary",
       "more tokens: new rows near the mean of the old ones, so that old tokens keep their logits",
       "Hewitt 2021, Initializing new word embeddings for pretrained language models",
       make_vocabulary_conversion},
      {"context", "longer texts: rotary positions stretched, learned ones interpolated",
       "Chen et al. 2023, arXiv:2306.15595", make_context_conversion},
      {"experts", "dense to mixture of experts: every expert starts as a copy of the dense layer",
       "Komatsuzaki et al. 2022, arXiv:2212.05055", make_experts_conversion},
  };
  return kConversions;
}

namespace {

void require_owner(bool given, std::string_view option, bool owner_given, std::string_view owner) {
  require(!given || owner_given, ErrorKind::kUsage, option, "has no effect without {}", owner);
}

std::vector<std::unique_ptr<Conversion>> asked_for(const ConversionOptions& o) {
  ConversionOptions within_limits;  // those of visit(), also for callers that read no command line
  read_config(within_limits, write_config(o), "convert");
  require_owner(o.rope_scaling.has_value(), "--rope-scaling", o.context.has_value(), "--context");
  require_owner(o.experts_per_token.has_value(), "--experts-per-token", o.experts.has_value(),
                "--experts");
  std::vector<std::unique_ptr<Conversion>> asked;
  for (const auto& entry : conversions())
    if (auto conversion = entry.make(o)) asked.push_back(std::move(conversion));
  require(!asked.empty(), ErrorKind::kUsage, "convert",
          "nothing to do; give what to change with --body, --kv-heads, --tokenizer, --vocab-size, "
          "--pad-vocab-to, --context or --experts");
  return asked;
}

}  // namespace

ModelConfig converted_config(const ModelConfig& from, const ConversionOptions& options) {
  ModelConfig config = from;
  for (const auto& conversion : asked_for(options)) {
    config = conversion->config(config);
    validate(config);
  }
  return config;
}

std::vector<std::string> conversion_notes(const ModelConfig& from,
                                          const ConversionOptions& options) {
  std::vector<std::string> notes;
  ModelConfig config = from;
  for (const auto& conversion : asked_for(options)) {
    notes.push_back(conversion->note(config));
    config = conversion->config(config);
  }
  return notes;
}

std::unique_ptr<Transformer> convert(std::unique_ptr<Transformer> model,
                                     const ConversionOptions& options) {
  for (const auto& conversion : asked_for(options)) {
    auto next = std::make_unique<Transformer>(conversion->config(model->config()));
    next->allocate(DType::kF32);
    conversion->fill(*model, *next);
    model = std::move(next);
  }
  return model;
}

void carry_over(Transformer& from, Transformer& to, const FillParameter& fill) {
  std::map<std::string, const Parameter*> by_name;
  for (const Parameter* p : from.parameters()) by_name[p->name] = p;
  for (Parameter* fresh : to.parameters()) {
    const auto found = by_name.find(fresh->name);
    const Parameter* old = found == by_name.end() ? nullptr : found->second;
    if (fill(old, *fresh)) continue;
    require(old != nullptr && old->shape == fresh->shape, ErrorKind::kConfig, "convert",
            "'{}' {} has no counterpart of its shape in the source ({}); this conversion does not "
            "support such a parameter",
            fresh->name, fresh->shape.str(), old == nullptr ? "absent" : old->shape.str());
    fresh->value.tensor().copy_from(old->value.tensor());
  }
}

}  // namespace lathe
