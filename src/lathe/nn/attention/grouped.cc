// MHA, GQA and MQA: query heads in groups that share a key/value head. The three projections are
// one matrix, stacked by rows (queries, keys, values), so that the input is read once.

#include <cmath>

#include "lathe/nn/attention/attention.h"
#include "lathe/nn/linear.h"
#include "lathe/ops/attention.h"

namespace lathe {
namespace {

class GroupedAttention : public Attention {
 public:
  explicit GroupedAttention(const AttentionOptions& o)
      : options_(o),
        qkv_(o.hidden_size, (o.heads + 2 * o.kv_heads) * o.head_dim, o.bias, o.init_std),
        output_(o.heads * o.head_dim, o.hidden_size, o.bias, o.output_init_std) {
    qkv_.weight.parts = {o.heads * o.head_dim, o.kv_heads * o.head_dim, o.kv_heads * o.head_dim};
    if (qkv_.bias) qkv_.bias->parts = qkv_.weight.parts;
  }

  Var forward(const Forward& f, Position& position, const Var& x) override {
    const auto [q0, k0, v0] = ops::split_heads(
        qkv_.forward(f, x), {options_.heads, options_.kv_heads, options_.kv_heads});
    auto [q, k] = position.apply_to_heads(f, q0, k0);
    Var v = v0;
    if (f.cache != nullptr) {
      auto [keys, values] = f.cache->append(options_.layer, k.value, v.value);
      k = Var(keys);
      v = Var(values);
    }
    kernels::AttentionSpec spec;
    spec.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(options_.head_dim)));
    if (f.training && options_.dropout > 0.0) {
      spec.dropout = static_cast<float>(options_.dropout);
      spec.dropout_key = f.rng.fork("attention_weights").key();
    }
    return output_.forward(f, ops::merge_heads(ops::attention(q, k, v, spec, f.segments)));
  }

  std::string_view kind() const override { return "GroupedAttention"; }
  void visit(ModuleVisitor& v) override {
    v.child("qkv", qkv_);
    v.child("output", output_);
  }

 private:
  AttentionOptions options_;
  Linear qkv_, output_;
};

}  // namespace

std::unique_ptr<Attention> make_grouped_attention(const AttentionOptions& options) {
  return std::make_unique<GroupedAttention>(options);
}

}  // namespace lathe
