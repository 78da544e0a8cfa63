// MHA, GQA and MQA: query heads in groups that share a key/value head. The three projections are
// one matrix, stacked by rows (queries, keys, values), so that the input is read once.

#include "lathe/nn/attention/attention.h"
#include "lathe/nn/attention/head_norms.h"
#include "lathe/nn/linear.h"
#include "lathe/ops/attention.h"

namespace lathe {
namespace {

class GroupedAttention : public Attention {
 public:
  explicit GroupedAttention(const AttentionShape& o)
      : options_(o),
        qkv_(o.hidden_size, (o.heads + 2 * o.kv_heads) * o.head_dim, o.bias, o.init_std),
        output_(o.heads * o.head_dim, o.hidden_size, o.output_bias, o.output_init_std),
        norms_(o),
        sinks_(make_sinks(o)) {
    const int64_t queries = o.heads * o.head_dim, keys = o.kv_heads * o.head_dim;
    qkv_.weight.parts = {queries, keys, keys};
    qkv_.weight.init.part_std = {o.init_std, o.init_std, o.value_init_std};
    if (qkv_.bias) qkv_.bias->parts = qkv_.weight.parts;
  }

  static AttentionTraits traits(const AttentionShape& o, const NoConfig&) {
    const int64_t heads = o.heads, kv = o.kv_heads, d = o.head_dim;
    return {.key_width = d,
            .value_width = d,
            .rotary_width = d,
            .cached = 2 * kv * d,
            .kept = (heads + 2 * kv) * d + heads * d,
            .kept_rotated = (heads + kv) * d};
  }

  Var forward(const Forward& f, const PassPositions& positions, const Var& x) const override {
    const auto [q0, k0, v0] = ops::split_heads(
        qkv_.forward(f, x), {options_.heads, options_.kv_heads, options_.kv_heads});
    const AttentionSite site = site_of(options_);
    const Var query = norms_.query(f, q0);
    const Var for_sinks = positions.query_for_sinks(f, site, query);
    const auto [q, k] = positions.apply_to_heads(f, site, query, norms_.key(f, k0));
    const ops::KeyValues kv = keys_and_values(f, options_, k, v0);
    return output_.forward(
        f, ops::merge_heads(attend(f, options_, positions, {q, for_sinks}, kv, sinks_)));
  }

  std::string_view kind() const override { return "GroupedAttention"; }
  void visit(ModuleVisitor& v) override {
    v.child("qkv", qkv_);
    norms_.visit(v);
    if (sinks_) v.parameter("sinks", *sinks_);
    v.child("output", output_);
  }

 private:
  AttentionShape options_;
  Linear qkv_, output_;
  HeadNorms norms_;
  std::optional<Parameter> sinks_;
};

}  // namespace

AttentionComponent grouped_attention() {
  return attention_component<GroupedAttention>(
      {.name = "grouped",
       .summary = "num_key_value_heads shared by num_attention_heads: equal is MHA, one is MQA, in "
                  "between is GQA",
       .source =
           "Vaswani et al. 2017, arXiv:1706.03762; Shazeer 2019, arXiv:1911.02150; Ainslie et "
           "al. 2023, arXiv:2305.13245"});
}

}  // namespace lathe
