#include "lathe/model/adapter/prompt_sites.h"

#include <set>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"

namespace lathe {

PromptSite prompt_site(const AdapterConfig& config, const Transformer& model,
                       std::string_view where) {
  const ModelConfig& c = model.config();
  const Body body = c.body_traits();
  require(body.causal && !body.encoder, ErrorKind::kConfig, where,
          "{} puts virtual tokens before a text that is continued, but body \"{}\" is no decoder "
          "alone; use a kind that acts on layers",
          config.peft_type, c.body);
  PromptSite site{.virtual_tokens = config.num_virtual_tokens,
                  .width = c.hidden_size,
                  .layers = c.num_hidden_layers};
  const PromptKind& kind = find_in(prompt_encoders(), "peft_type", config.peft_type);
  if (kind.traits(site, config.prompts.of(config.peft_type)).is_prefix) {
    require(c.attention.kind == "grouped", ErrorKind::kConfig, where,
            "prefixes are keys and values of heads, which attention \"{}\" does not have; use "
            "PROMPT_TUNING",
            c.attention.kind);
    site.width = c.kv_heads() * c.head_width();
  }
  site.hidden_size = config.encoder_hidden_size.value_or(site.width);
  for (const Parameter* p : model.parameters())
    if (p->name == "embedding.weight" && p->value.packed() == nullptr)
      site.table = p->value.tensor();
  return site;
}

Tensor token_rows(std::span<const int64_t> indices, int64_t vocabulary, std::string_view where) {
  std::set<int64_t> seen;
  Tensor rows({std::ssize(indices)}, DType::kI32);
  for (size_t i = 0; i < indices.size(); ++i) {
    require(indices[i] >= 0 && indices[i] < vocabulary && seen.insert(indices[i]).second,
            ErrorKind::kConfig, where,
            "trainable_token_indices has {}, expected different ids below {}", indices[i],
            vocabulary);
    rows.data<int32_t>()[i] = static_cast<int32_t>(indices[i]);
  }
  require(!indices.empty(), ErrorKind::kConfig, where, "trainable_token_indices is empty");
  return rows;
}

}  // namespace lathe
