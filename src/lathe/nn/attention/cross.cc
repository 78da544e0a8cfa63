// Cross-attention (Vaswani et al. 2017, arXiv:1706.03762): queries from the decoder, keys and
// values from what the encoder made. No positions: neither T5 nor the models after it have any
// here.

#include <algorithm>
#include <array>

#include "lathe/nn/attention/attention.h"
#include "lathe/nn/attention/cache.h"
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

  Var forward(const Forward& f, const PassPositions&, const Var& x) const override {
    require(f.memory != nullptr, ErrorKind::kShape, "cross-attention",
            "no encoder output; run the encoder first");
    const Var q = norms_.query(f, ops::split_heads(query_.forward(f, x), options_.heads));
    ops::AttentionInputs inputs;
    if (f.memory->segments.defined())
      inputs.segments = {f.rows->segments.defined() ? f.rows->segments : ones(x.shape()[0]),
                         f.memory->segments};
    return output_.forward(
        f, ops::merge_heads(attend_with(f, options_, q, keys_of_memory(f), inputs)));
  }

  std::string_view kind() const override { return "CrossAttention"; }
  void visit(ModuleVisitor& v) override {
    v.child("query", query_);
    v.child("key_value", key_value_);
    norms_.visit(v);
    v.child("output", output_);
  }

 private:
  ops::KeyValues made_of_memory(const Forward& f) const {
    const int64_t width = options_.kv_heads * options_.head_dim;
    const Pass of_text = f.pass->of_text();
    Forward read = f;
    read.pass = &of_text;
    const auto kv =
        ops::split_channels(key_value_.forward(read, f.memory->states), std::array{width, width});
    return ops::KeyValues::packed(norms_.key(f, ops::split_heads(kv[0], options_.kv_heads)),
                                  ops::split_heads(kv[1], options_.kv_heads), f.memory->sequences);
  }

  // With a cache they are made by the first pass of a sequence.
  ops::KeyValues keys_of_memory(const Forward& f) const {
    AttentionCache* cache = f.pass->cache;
    if (cache == nullptr) return made_of_memory(f);
    const CacheLayer place{.kind = CacheLayer::Kind::kCross, .index = options_.layer};
    if (f.memory->sequences.rows() > 0) {
      const ops::KeyValues kv = made_of_memory(f);
      cache->write(place, f.memory->rows(), kv.k.value, kv.v.value);
    }
    return cache->view(place, f.memory->rows());
  }

  static Tensor ones(int64_t count) {
    Tensor t({count}, DType::kI32);
    std::ranges::fill(t.span<int32_t>(), 1);
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
