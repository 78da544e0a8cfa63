// Cross-attention (Vaswani et al. 2017, arXiv:1706.03762): queries from the decoder, keys and values
// from what the encoder made. No positions: neither T5 nor the models after it have any here.

#include "lathe/nn/attention/attention.h"
#include "lathe/nn/attention/head_norms.h"
#include "lathe/nn/attention/memory.h"
#include "lathe/nn/linear.h"
#include "lathe/ops/attention.h"
#include "lathe/ops/channels.h"

namespace lathe {
namespace {

class CrossAttention : public Attention {
 public:
  explicit CrossAttention(const AttentionShape& o)
      : options_(o),
        query_(o.hidden_size, o.heads * o.head_dim, o.bias, o.init_std),
        key_value_(o.hidden_size, 2 * o.kv_heads * o.head_dim, o.bias, o.init_std),
        output_(o.heads * o.head_dim, o.hidden_size, o.output_bias, o.output_init_std),
        norms_(o) {
    options_.causal = false;
    options_.sink_logits = false;
    options_.window = 0;
    const int64_t keys = o.kv_heads * o.head_dim;
    key_value_.weight.parts = {keys, keys};
    key_value_.weight.init.part_std = {o.init_std, o.value_init_std};
    if (key_value_.bias) key_value_.bias->parts = key_value_.weight.parts;
  }

  Var forward(const Forward& f, Position&, const Var& x) override {
    require(f.memory != nullptr, ErrorKind::kShape, "cross-attention",
            "no encoder output; run the encoder first");
    const Var q = norms_.query(f, ops::split_heads(query_.forward(f, x), options_.heads));
    const auto [k, v] = f.cache != nullptr ? held(f) : keys_and_values(f);
    ops::AttentionInputs inputs;
    if (f.memory->segments.defined()) {
      inputs.segments.key = f.memory->segments;
      inputs.segments.query = f.segments.query.defined() ? f.segments.query : ones(x);
    }
    return output_.forward(f, ops::merge_heads(attend_with(f, options_, {q, k, v}, inputs)));
  }

  std::string_view kind() const override { return "CrossAttention"; }
  void visit(ModuleVisitor& v) override {
    v.child("query", query_);
    v.child("key_value", key_value_);
    norms_.visit(v);
    v.child("output", output_);
  }

 private:
  std::pair<Var, Var> keys_and_values(const Forward& f) {
    const int64_t width = options_.kv_heads * options_.head_dim;
    const auto kv =
        ops::split_channels(key_value_.forward(f, f.memory->states), std::array{width, width});
    return {norms_.key(f, ops::split_heads(kv[0], options_.kv_heads)),
            ops::split_heads(kv[1], options_.kv_heads)};
  }

  std::pair<Var, Var> held(const Forward& f) {
    auto& layers = f.memory->held;
    const auto layer = static_cast<size_t>(options_.layer);
    if (layers.size() <= layer) layers.resize(layer + 1);
    if (!layers[layer].first.defined()) {
      const auto [k, v] = keys_and_values(f);
      layers[layer] = {k.value, v.value};
    }
    return {Var(layers[layer].first), Var(layers[layer].second)};
  }

  static Tensor ones(const Var& x) {
    Tensor t({x.shape()[0], x.shape()[1]}, DType::kI32);
    for (int32_t& one : t.span<int32_t>()) one = 1;
    return t;
  }

  AttentionShape options_;
  Linear query_, key_value_, output_;
  HeadNorms norms_;
};

}  // namespace

std::unique_ptr<Attention> make_cross_attention(const AttentionShape& options) {
  return std::make_unique<CrossAttention>(options);
}

}  // namespace lathe
